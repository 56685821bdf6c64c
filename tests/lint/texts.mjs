// What text can be checked by a machine: file sizes, leftovers, documents made from the program, licence, lock files.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const problems = []
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' }).split('\n').filter(file => file && existsSync(file))
for (const file of files.filter(each => /\.(c|h|mjs|sql|html|md|yml|def)$|^deploy\/[a-z]+$|^tests\/run$/.test(each))) {
  const text = readFileSync(file, 'utf8')
  const lines = text.split('\n').length
  if (/\.(c|h|mjs)$/.test(file) && lines > 500) problems.push(`${file}: ${lines} lines; split it where its subject splits`)
  if (file === 'README.md' && lines > 151) problems.push(`${file}: ${lines} lines, at most 150`)
  if (/\.(c|h)$/.test(file) && /\b(TODO|FIXME|XXX)\b|#if 0/.test(text)) problems.push(`${file}: has a TODO or dead code`)
  if (/[ \t]$/m.test(text) && !/\.md$/.test(file)) problems.push(`${file}: trailing white space`)
}
const lock = readFileSync('tests/package-lock.json', 'utf8')
if (/"resolved"/.test(lock)) problems.push('tests/package-lock.json names download addresses')
const made = execFileSync(join(process.env.PGTIDE_TEST_BUILD_DIR, 'bin/pgtide-tailer'), ['--config-markdown'], { encoding: 'utf8' })
if (!existsSync('docs/configuration.md') || !readFileSync('docs/configuration.md', 'utf8').includes(made.trim())) {
  problems.push('docs/configuration.md is not what the program says; run tests/lint/update-docs')
}
console.log(`${files.length} files, ${problems.length} problems`)
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)
