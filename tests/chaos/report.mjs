// What run.mjs prints: a table per seed, totals, and the row for docs/reliability.md.
import { total } from './checker.mjs'

const COLUMNS = [['expected', 'expected'], ['received', 'received'], ['lost', 'lost'], ['duplicated', 'duplicated'], ['reordered', 'reordered'],
  ['gaps', 'gaps'], ['covered', 'in gaps'], ['unknown', 'unknown'], ['badMarks', 'bad last'], ['torn', 'torn'], ['transactions', 'commits']]

function print(rows) {
  const widths = rows[0].map((_, at) => Math.max(...rows.map(row => String(row[at]).length)))
  for (const row of rows) console.log(row.map((cell, at) => at < 2 ? String(cell).padEnd(widths[at]) : String(cell).padStart(widths[at])).join('  '))
}

const cells = sum => COLUMNS.map(([name]) => sum[name])

export function printSeed(run, { perClient }) {
  const rows = [['client', 'mode', ...COLUMNS.map(([, title]) => title), 'connects', 'resumed', 'gone']]
  if (perClient) {
    for (const client of run.clients) {
      rows.push([client.name, client.mode, ...cells(total(client.results)), client.counts.connects, client.counts.resumed, client.counts.gone])
    }
  }
  const sum = name => run.clients.reduce((all, client) => all + client.counts[name], 0)
  rows.push(['all', `${run.clients.length} clients`, ...cells(run.sum), sum('connects'), sum('resumed'), sum('gone')])
  console.log(`\nseed ${run.seed}${run.beyondWindow ? ', beyond the window' : ''}: ${run.seconds} s, ${run.changes} changes in ${run.transactions} transactions${run.rolledBack ? `, ${run.rolledBack} rolled back` : ''}`)
  print(rows)
  console.log(`did: ${text({ ...run.kills, ...prefix('link ', run.faults), ...run.disconnects })}`)
  console.log(`clients: ${text({ silent: sum('silent'), unanswered: sum('unanswered'), refused: sum('refused'), stale: sum('stale'), violations: sum('violations'), ...prefix('close ', run.closes) })}`)
  if (run.recovery) console.log(`all caught up ${run.recovery} ms after the last barrier`)
  for (const line of run.notes) console.log(`note: ${line}`)
  for (const line of run.samples.slice(0, 20)) console.log(`found: ${line}`)
  for (const line of run.wrong) console.log(`WRONG: ${line}`)
}

const text = counts => Object.entries(counts).filter(([, count]) => count > 0).map(([name, count]) => `${name} ${count}`).join(', ') || 'nothing'
const prefix = (word, counts) => Object.fromEntries(Object.entries(counts).map(([name, count]) => [word + name, count]))

export const MARKDOWN_HEAD = `| Commit | Build | Mode | Seeds | Minutes | Clients | Changes | Expected | Received | Lost | Duplicated | Reordered | Explicit gaps | Torn | SIGKILL | SIGTERM | SIGSTOP | PostgreSQL | Links | Disconnects |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|`

export function markdownRow(runs, { commit, build }) {
  const sum = total(runs.map(run => run.sum))
  const count = (name, match) => runs.reduce((all, run) => all + Object.entries(run[name]).filter(([key]) => match(key)).reduce((part, [, value]) => part + value, 0), 0)
  const signal = word => count('kills', key => key.startsWith(word) && !key.endsWith('postgres'))
  const number = value => value.toLocaleString('en')
  const [first] = runs
  return `| ${[commit, build, first.beyondWindow ? 'beyond the window' : 'inside the window', runs.map(run => run.seed).join(', '), (runs.reduce((all, run) => all + run.seconds, 0) / 60).toFixed(1),
    Math.max(...runs.map(run => run.clients.length)), number(runs.reduce((all, run) => all + run.changes, 0)), number(sum.expected), number(sum.received), sum.lost, sum.duplicated, sum.reordered,
    sum.gaps, sum.torn, signal('SIGKILL'), signal('SIGTERM'), signal('SIGSTOP'), count('kills', key => key.endsWith('postgres')), count('faults', () => true), count('disconnects', () => true)].join(' | ')} |`
}
