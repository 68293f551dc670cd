// Copies what the verifier in JavaScript carries of @noble/post-quantum into a folder: exact files of the installed packages, with
// their licences. One thing is changed, so that no build step and no import map is needed: an import by a package's name becomes one
// by path. Usage: node vendor.mjs FOLDER
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const FILES = {
  "post-quantum": ["ml-dsa.js", "_crystals.js", "utils.js"],
  curves: ["abstract/fft.js", "abstract/modular.js", "utils.js"],
  hashes: ["sha3.js", "_u64.js", "utils.js"],
};

const [folder] = process.argv.slice(2);
const packages = join(import.meta.dirname, "node_modules", "@noble");
for (const [name, files] of Object.entries(FILES)) {
  for (const file of files) {
    const to = join(folder, name, file);
    mkdirSync(dirname(to), { recursive: true });
    const up = "../".repeat(file.split("/").length);
    const source = readFileSync(join(packages, name, file), "utf8");
    writeFileSync(to, source.replace(/^(import .*? from )(['"])@noble\/([^'"]+)\2/gm, `$1$2${up}$3$2`));
  }
  for (const file of ["LICENSE", "package.json"]) copyFileSync(join(packages, name, file), join(folder, name, file));
}
