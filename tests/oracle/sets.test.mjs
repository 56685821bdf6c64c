// Sets of membership tests that are kept from the changes of their table are what PostgreSQL answers (sets.c), or say that they are stale.
// SETS_WORLDS, SETS_SEED: how many policies, and from which seed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from './cluster.mjs'

test('sets kept from changes are what a query gives', async t => {
  const worlds = process.env.SETS_WORLDS ?? '150'
  const seed = process.env.SETS_SEED ?? String(Math.floor(Date.now() / 86_400_000) * 1000)
  const cluster = await Cluster.start(1)
  try {
    const output = await cluster.run('sets-oracle', 'w0', ['--seed', seed, '--worlds', worlds])
    t.diagnostic(output.trim())
    const [, compared, wrong] = output.match(/(\d+) comparisons, wrong (\d+)/)
    assert.equal(wrong, '0')
    assert.ok(Number(compared) > Number(worlds), output)
  } finally {
    await cluster.stop()
  }
})
