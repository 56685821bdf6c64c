// At least a million decisions of the broker against PostgreSQL's own, by ORACLE_DECISIONS or by one command more:
//   ORACLE_DECISIONS=10000000 node --test tests/oracle/decisions.test.mjs
// The seed is of the day, or ORACLE_SEED; every output names it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, decide } from './cluster.mjs'

const WORKERS = 2

test('row-level security and the broker decide the same', async t => {
  const decisions = Number(process.env.ORACLE_DECISIONS ?? 1_000_000)
  const seed = Number(process.env.ORACLE_SEED ?? Math.floor(Date.now() / 86_400_000) * 1000)
  const cluster = await Cluster.start(WORKERS)
  try {
    const outputs = await decide(cluster, WORKERS, decisions, seed)
    let made = 0
    for (const output of outputs) {
      for (const line of output.trim().split('\n').filter(each => !each.startsWith('operators not seen'))) t.diagnostic(line)
      made += Number(output.match(/(\d+) decisions, leaked 0, withheld 0/)?.[1] ?? 0)
    }
    assert.ok(made >= decisions, `${made} decisions`)
  } finally {
    await cluster.stop()
  }
})
