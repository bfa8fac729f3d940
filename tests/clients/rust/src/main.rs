//! What the natural calls of tokio-postgres and sqlx answer: driver, call, and the score or the error, one line a call. Called with the
//! folder of the server's socket and a database with the model `risk` of four features, a, b, c and d.

use serde_json::{Value, json};
use sqlx::ConnectOptions;

const ROW: [f64; 4] = [1.0, 2.0, 3.0, 4.0];
const PREDICT: &str = "SELECT e2i_predict('risk', $1)";
const PREDICT_ARRAY: &str = "SELECT e2i_predict('risk', $1::float8[])";
const PREDICT_JSONB: &str = "SELECT e2i_predict('risk', $1::jsonb)";
const SERVE: &str = "SELECT e2i_serve('risk', $1)";
const SERVE_JSONB: &str = "SELECT e2i_serve('risk', $1::jsonb)";

fn tell(driver: &str, call: &str, answer: Result<Value, String>) {
    match answer {
        Ok(answer) => println!("{driver} | {call} | {}", answer.get("predictions").unwrap_or(&answer)),
        Err(error) => println!("{driver} | {call} | {}", error.lines().next().unwrap_or_default()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (folder, database) = (&arguments[1], &arguments[2]);
    let object = json!({"a": 1, "b": 2, "c": 3, "d": 4});
    let payload = json!({"features": [object, ROW]});
    let (text, payload_text) = (object.to_string(), payload.to_string());

    let parameters = format!("host={folder} user=postgres dbname={database}");
    match tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await {
        Err(error) => tell("tokio-postgres", "connect", Err(error.to_string())),
        Ok((client, connection)) => {
            tokio::spawn(connection);
            let calls: [(&str, &str, &(dyn tokio_postgres::types::ToSql + Sync)); 5] = [
                ("text", PREDICT, &text),
                ("Value as $1::jsonb", PREDICT_JSONB, &object),
                ("Vec as $1::float8[]", PREDICT_ARRAY, &ROW.to_vec()),
                ("e2i_serve, text", SERVE, &payload_text),
                ("e2i_serve, Value as $1::jsonb", SERVE_JSONB, &payload),
            ];
            for (call, query, value) in calls {
                let row = client.query_one(query, &[value]).await.map_err(|error| format!("{error:?}"));
                tell(
                    "tokio-postgres",
                    call,
                    row.map(|row| match call.starts_with("e2i_serve") {
                        true => row.get::<_, Value>(0),
                        false => json!(row.get::<_, f64>(0)),
                    }),
                );
            }
        }
    }

    let options = sqlx::postgres::PgConnectOptions::new().socket(folder).username("postgres").database(database);
    match options.connect().await {
        Err(error) => tell("sqlx", "connect", Err(error.to_string())),
        Ok(mut connection) => {
            macro_rules! one {
                ($call:expr, $query:expr, $value:expr, $type:ty) => {
                    // What is prepared for one type is otherwise kept by its text, and given values of another.
                    let query = sqlx::query_scalar::<_, $type>($query).bind($value).persistent(false);
                    let answer = query.fetch_one(&mut connection).await;
                    tell("sqlx", $call, answer.map(|answer| json!(answer)).map_err(|error| error.to_string()));
                };
            }
            one!("text", PREDICT, &text, f64);
            one!("Value", PREDICT, &object, f64);
            one!("Vec", PREDICT, ROW.to_vec(), f64);
            one!("e2i_serve, text", SERVE, &payload_text, Value);
            one!("e2i_serve, Value", SERVE, &payload, Value);
        }
    }
}
