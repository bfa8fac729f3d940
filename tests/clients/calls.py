"""What each driver's natural call answers, without a cast unless its column of the manual's table says one.

Called with the folder of the server's socket and a database with the model `risk` of four features, a, b, c and d.
Prints one line a call: driver, call, and the score or the error's first line.
"""

import asyncio
import json
import sys

folder, database = sys.argv[1:]
OBJECT = {"a": 1, "b": 2, "c": 3, "d": 4}
ROW = [1.0, 2.0, 3.0, 4.0]
PAYLOAD = json.dumps({"features": [OBJECT, ROW]})


def tell(driver, call, answer):
    """Prints the answer, of e2i_serve its predictions."""
    try:
        answer = answer()
    except Exception as error:  # noqa: BLE001: whatever it is, it is the answer
        answer = f"{type(error).__name__}: {error}".splitlines()[0]
    answer = json.loads(answer) if isinstance(answer, str) and answer.startswith("{") else answer
    print(driver, call, answer["predictions"] if isinstance(answer, dict) else answer, sep=" | ")


def of_psycopg3():
    import psycopg
    from psycopg.types.json import Json, Jsonb

    with psycopg.connect(f"host={folder} dbname={database} user=postgres") as connection:

        def one(sql, *parameters, **options):
            return lambda: connection.execute(sql, parameters, **options).fetchone()[0]

        predict, serve = "SELECT e2i_predict('risk', %s)", "SELECT e2i_serve('risk', %s)"
        for call, value in {"text": json.dumps(OBJECT), "Json": Json(OBJECT), "Jsonb": Jsonb(OBJECT), "list": ROW}.items():
            tell("psycopg 3", call, one(predict, value))
            tell("psycopg 3", f"{call}, prepared", one(predict, value, prepare=True))
        tell("psycopg 3", "e2i_serve, text", one(serve, PAYLOAD))
        tell("psycopg 3", "e2i_serve, Json", one(serve, Json(json.loads(PAYLOAD))))


def of_psycopg2():
    import psycopg2
    from psycopg2.extras import Json

    connection = psycopg2.connect(host=folder, dbname=database, user="postgres")

    def one(sql, value):
        def answer():
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, (value,))
                return cursor.fetchone()[0]

        return answer

    for call, value in {"text": json.dumps(OBJECT), "Json": Json(OBJECT), "list": ROW}.items():
        tell("psycopg2", call, one("SELECT e2i_predict('risk', %s)", value))
    tell("psycopg2", "e2i_serve, text", one("SELECT e2i_serve('risk', %s)", PAYLOAD))
    connection.close()


async def of_asyncpg():
    import asyncpg

    connection = await asyncpg.connect(host=folder, database=database, user="postgres")
    for call, sql, value in [
        ("text", "SELECT e2i_predict('risk', $1)", json.dumps(OBJECT)),
        ("list as $1::float8[]", "SELECT e2i_predict('risk', $1::float8[])", ROW),
        ("e2i_serve, text", "SELECT e2i_serve('risk', $1)", PAYLOAD),
    ]:
        try:
            answer = await connection.fetchval(sql, value)
        except Exception as error:  # noqa: BLE001
            answer = f"{type(error).__name__}: {error}".splitlines()[0]
        tell("asyncpg", call, lambda answer=answer: answer)
    await connection.close()


def of_pg8000():
    import pg8000.native

    connection = pg8000.native.Connection("postgres", unix_sock=f"{folder}/.s.PGSQL.5432", database=database)
    for call, value in {"text": json.dumps(OBJECT), "dictionary": OBJECT, "list": ROW}.items():
        tell("pg8000", call, lambda value=value: connection.run("SELECT e2i_predict('risk', :v)", v=value)[0][0])
    tell("pg8000", "e2i_serve, dictionary", lambda: connection.run("SELECT e2i_serve('risk', :v)", v=json.loads(PAYLOAD))[0][0])
    connection.close()


def of_sqlalchemy():
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import JSONB

    engine = sa.create_engine(f"postgresql+psycopg://postgres@/{database}?host={folder}")
    table = sa.table("inputs", *map(sa.column, "abcd"))
    predict = sa.func.e2i_predict
    for call, expression in {
        "text": predict("risk", json.dumps(OBJECT)),
        "JSON": predict("risk", sa.literal(OBJECT, sa.JSON)),
        "JSONB": predict("risk", sa.literal(OBJECT, JSONB)),
        "a row": predict("risk", table.table_valued()),
    }.items():

        def answer(expression=expression):
            with engine.connect() as connection:
                return connection.execute(sa.select(expression)).scalar()

        tell("SQLAlchemy", call, answer)
    engine.dispose()


def of_adbc():
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(f"postgresql://postgres@/{database}?host={folder}", autocommit=True) as connection, connection.cursor() as cursor:

        def one(sql, value):
            def answer():
                cursor.execute(sql, (value,))
                return cursor.fetchone()[0]

            return answer

        tell("ADBC", "text", one("SELECT e2i_predict('risk', $1)", json.dumps(OBJECT)))
        tell("ADBC", "e2i_serve, text", one("SELECT e2i_serve('risk', $1)::text", PAYLOAD))


of_psycopg3()
of_psycopg2()
asyncio.run(of_asyncpg())
of_pg8000()
of_sqlalchemy()
of_adbc()
