// What the natural calls of node-postgres and postgres.js answer: driver, call, and the score or the error, one line a call. Called with
// the folder of the modules, the folder of the server's socket, and a database with the model `risk` of four features, a, b, c and d.

import { createRequire } from "node:module";

const [modules, folder, database] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const object = { a: 1, b: 2, c: 3, d: 4 };
const row = [1, 2, 3, 4];
const payload = { features: [object, row] };

async function tell(driver, call, answer) {
  try {
    const value = await answer();
    console.log(`${driver} | ${call} | ${JSON.stringify(value?.predictions ?? value)}`);
  } catch (error) {
    console.log(`${driver} | ${call} | ${error.message}`);
  }
}

async function ofNodePostgres() {
  const { Client } = require("pg");
  const client = new Client({ host: folder, database, user: "postgres" });
  await client.connect();
  const predict = "SELECT e2i_predict('risk', $1) AS answer", serve = "SELECT e2i_serve('risk', $1) AS answer";
  const one = (text, value, name) => async () => (await client.query({ text, values: [value], name })).rows[0].answer;
  for (const [call, value] of Object.entries({ text: JSON.stringify(object), object, array: row, "JSON.stringify(array)": JSON.stringify(row) })) {
    await tell("node-postgres", call, one(predict, value));
    await tell("node-postgres", `${call}, prepared`, one(predict, value, "prepared"));
  }
  await tell("node-postgres", "e2i_serve, text", one(serve, JSON.stringify(payload)));
  await tell("node-postgres", "e2i_serve, object", one(serve, payload));
  await client.end();
}

async function ofPostgresJs() {
  const sql = require("postgres")({ host: `${folder}/.s.PGSQL.5432`, path: `${folder}/.s.PGSQL.5432`, database, user: "postgres", onnotice: () => {} });
  const first = async (rows) => (await rows)[0].answer;
  await tell("postgres.js", "text", () => first(sql`SELECT e2i_predict('risk', ${JSON.stringify(object)}) AS answer`));
  await tell("postgres.js", "sql.json(object)", () => first(sql`SELECT e2i_predict('risk', ${sql.json(object)}) AS answer`));
  await tell("postgres.js", "object as $1::jsonb", () => first(sql`SELECT e2i_predict('risk', ${object}::jsonb) AS answer`));
  await tell("postgres.js", "array as $1::float8[]", () => first(sql`SELECT e2i_predict('risk', ${row}::float8[]) AS answer`));
  await tell("postgres.js", "e2i_serve, text", () => first(sql`SELECT e2i_serve('risk', ${JSON.stringify(payload)}) AS answer`));
  await tell("postgres.js", "e2i_serve, sql.json(payload)", () => first(sql`SELECT e2i_serve('risk', ${sql.json(payload)}) AS answer`));
  await sql.end();
}

await ofNodePostgres();
await ofPostgresJs();
