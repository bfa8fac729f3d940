"""A database of a throw-away cluster for each module of tests. E2I_TEST_HOST is the cluster's socket folder, E2I_MODELS the fixtures."""

import os
import uuid

import psycopg
import pytest

HOST = os.environ["E2I_TEST_HOST"]


@pytest.fixture(scope="module")
def dsn():
    """A connection string of a database with the extension, in a schema that is not on the search path."""
    name = f"python_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(host=HOST, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        url = f"postgresql://postgres@/{name}?host={HOST}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA ml; CREATE EXTENSION e2i_serve SCHEMA ml")
        yield url
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connection(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def customers():
    """A data frame with numbers that are missing, texts, and a class to predict."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(5)
    n = 400
    frame = pd.DataFrame(
        {
            "tenure": random.integers(0, 60, n),
            "engagement": np.where(random.random(n) < 0.1, np.nan, random.normal(0.5, 0.2, n)),
            "region": random.choice(["North", "South", "East"], n),
            "active": random.random(n) < 0.5,
        }
    )
    left = (frame["tenure"] < 24) & (frame["engagement"].fillna(0.4) < 0.6)
    return frame, np.where(left ^ (random.random(n) < 0.1), "leaves", "stays")
