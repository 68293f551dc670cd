// Checks a record's proof by the console's own module: what it is told on standard input, a line of JSON for each; a line out for each.
import { pathToFileURL } from "node:url";
import { createInterface } from "node:readline";

const { check } = await import(pathToFileURL(process.argv[2]));
console.log(JSON.stringify({ up: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const { proof, key } = JSON.parse(line);
  console.log(JSON.stringify(await check(proof, key)));
}
