#!/usr/bin/env node
// Turns the vectors of this folder into seeds for the fuzz targets: tests/fuzz/corpus/STEM/vector-*.
//
//     node tests/vectors/make_corpus.mjs           writes them, and removes those without a vector
//     node tests/vectors/make_corpus.mjs --check   changes nothing; fails when they are not up to date
//
// Files with other names (inputs that once failed) are left alone.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const corpus = join(folder, '..', 'fuzz', 'corpus');

function seeds() {
  const wanted = { wire_decode: new Map(), wire_roundtrip: new Map(), wire_position: new Map() };
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json')).sort()) {
    for (const vector of JSON.parse(readFileSync(join(folder, file), 'utf8'))) {
      const slug = vector.name.replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
      const name = `vector-${file.replace('.json', '')}-${slug}`;
      if (vector.text !== undefined) {
        wanted.wire_position.set(name, Buffer.from(vector.text));
        continue;
      }
      wanted.wire_decode.set(name, Buffer.from(vector.hex, 'hex'));
      if (vector.records !== undefined) {
        wanted.wire_roundtrip.set(name, Buffer.from(vector.hex, 'hex'));
      }
    }
  }
  return wanted;
}

function present(target) {
  const path = join(corpus, target);
  return existsSync(path) ? readdirSync(path).filter((name) => name.startsWith('vector-')) : [];
}

function isCurrent(target, wanted) {
  return (
    present(target).every((name) => wanted.has(name)) &&
    [...wanted].every(([name, bytes]) => {
      const path = join(corpus, target, name);
      return existsSync(path) && readFileSync(path).equals(bytes);
    })
  );
}

function write(target, wanted) {
  mkdirSync(join(corpus, target), { recursive: true });
  for (const name of present(target).filter((name) => !wanted.has(name))) {
    rmSync(join(corpus, target, name));
  }
  for (const [name, bytes] of wanted) {
    writeFileSync(join(corpus, target, name), bytes);
  }
  console.log(`${target}: ${wanted.size} seeds`);
}

for (const [target, wanted] of Object.entries(seeds())) {
  if (!process.argv.includes('--check')) {
    write(target, wanted);
  } else if (!isCurrent(target, wanted)) {
    console.error(`tests/fuzz/corpus/${target} differs from the vectors: run node tests/vectors/make_corpus.mjs`);
    process.exitCode = 1;
  }
}
