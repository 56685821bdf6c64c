// Which folder may include which, and which folder a library belongs to (docs/architecture.md, "The house").
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const FOLDERS = {
  proto: ['proto'], runtime: ['runtime'], pg: ['pg', 'runtime'],
  tailer: ['tailer', 'proto', 'runtime', 'pg'], broker: ['broker', 'proto', 'runtime', 'pg'],
  edge: ['edge', 'proto', 'runtime'], cli: ['cli', 'runtime', 'broker/policy'], // explain and doctor judge policies with the broker's own code, which is pure
}
const LIBRARIES = [
  [/^<msgpack/, /^proto\//], [/^<ev\.h/, /^runtime\/loop\.c$/], [/^<(zmq|czmq)/, /^runtime\/(loop|pub|sub|keys|link_\w+)\.c$/],
  [/^<yaml/, /^runtime\/config\w*\.c$/], [/^<libpq-fe/, /^(pg|tailer|broker\/(perms|match|snapshot|view)|cli)\//], [/^<libwebsockets/, /^(edge|cli)\//],
  [/^<zlib/, /^edge\/ws_deflate\.c$/], [/^<jwt/, /^(edge\/token\w*\.c|cli\/)/], [/^<jansson/, /^(edge\/|cli\/|broker\/policy\/settings\.c$)/],
]
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', '*.c', '*.h'], { encoding: 'utf8' }).split('\n')
  .filter(file => Object.keys(FOLDERS).includes(file.split('/')[0]))
const problems = []
for (const file of files) {
  const [folder, sub] = file.split('/')
  for (const [at, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    const found = line.match(/^#\s*include\s+(".*"|<.*>)/)
    if (!found) continue
    const say = text => problems.push(`${file}:${at + 1}: ${found[1]}: ${text}`)
    if (found[1].startsWith('"')) {
      const [target, part] = found[1].slice(1, -1).split('/')
      if (!FOLDERS[folder].includes(target) && !FOLDERS[folder].includes(`${target}/${part}`)) say(`${folder}/ may include only ${FOLDERS[folder].map(each => `${each}/`).join(', ')}, written from the root`)
      // Parts of the broker, and dialects of the edge, do not know each other.
      const knows = new Set(['perms policy', 'snapshot policy', 'route policy', 'route match'])
      const parts = folder === 'broker' ? ['route', 'perms', 'match', 'channels', 'snapshot', 'policy'] : folder === 'edge' ? ['fluxbase', 'llana', 'staticbackend', 'supabase'] : []
      if (target === folder && parts.includes(sub) && parts.includes(part) && sub !== part && !knows.has(`${sub} ${part}`)) say(`${folder}/${sub}/ and ${folder}/${part}/ do not know each other`)
    }
    for (const [library, home] of LIBRARIES) if (library.test(found[1]) && !home.test(file)) say(`belongs to ${home.source}`)
  }
}
console.log(`${files.length} files, ${problems.length} problems`)
if (files.length < 20) problems.push('too few files: the check looks in the wrong place')
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)
