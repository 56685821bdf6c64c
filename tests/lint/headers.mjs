// Every header compiles alone, has a guard named after its path, and opens with its contract.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const headers = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', 'proto/*.h', 'runtime/*.h', 'pg/*.h', 'tailer/*.h', 'broker/*.h', 'edge/*.h', 'cli/*.h'],
  { encoding: 'utf8' }).split('\n').filter(Boolean)
const includes = execFileSync('pkg-config', ['--cflags', 'libpq', 'libwebsockets', 'jansson', 'libczmq'], { encoding: 'utf8' }).trim().split(/\s+/).filter(Boolean)
const problems = []
for (const header of headers) {
  const text = readFileSync(header, 'utf8')
  const guard = `PGTIDE_${header.toUpperCase().replace(/[/.]/g, '_')}`
  if (!text.includes(`#ifndef ${guard}\n#define ${guard}\n`)) problems.push(`${header}: guard ${guard} is missing`)
  if (!text.startsWith(`/* ${header} - `)) problems.push(`${header}: does not open with "/* ${header} - what it is for"`)
  const run = spawnSync('clang', ['-std=c17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-I.', ...includes, '-x', 'c', '-'],
    { input: `#include "${header}"\n#include "${header}"\n`, encoding: 'utf8' })
  if (run.status !== 0) problems.push(`${header}: does not compile alone\n${run.stderr}`)
}
console.log(`${headers.length} headers, ${problems.length} problems`)
if (headers.length < 20) problems.push('too few headers: the check looks in the wrong place')
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)
