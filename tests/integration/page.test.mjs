// What a newcomer sees: deploy/up with its demo, and the page in a real browser.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const run = promisify(execFile)
let system
let browser
before(async () => {
  system = await System.start({ demo: true })
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] })
})
after(async () => {
  await browser?.close()
  await system?.stop()
})

async function open(hash) {
  const page = await browser.newPage()
  const problems = []
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', message => { if (message.type() === 'error') problems.push(message.text()) })
  page.on('request', request => { if (!request.url().startsWith(system.http)) problems.push(`request to ${request.url()}`) })
  await page.goto(`${system.http}/${hash}`)
  return { page, problems }
}

test('the demo\'s changes appear, newest first, coloured by kind, with their delay', async () => {
  const { page, problems } = await open(`#token=${encodeURIComponent(user(system))}`)
  await page.waitForSelector('#state[data-state="open"]')
  assert.ok(!page.url().includes('token'), 'the token does not stay in the address bar')
  await page.click('button[data-table="orders"]')
  await page.fill('#table', 'sensors')
  await page.click('#watch-button')
  await page.waitForSelector('#watched li[data-armed="true"] >> nth=1')
  await page.waitForSelector('#changes li[data-kind="UPDATE"]')
  await until('several changes', async () => Number(await page.textContent('#count')) >= 5)
  assert.match(await page.textContent('#median'), /\d+(\.\d+)? ms/)
  const colours = await page.$eval('#changes li[data-kind="UPDATE"]', row => getComputedStyle(row).getPropertyValue('--kind'))
  assert.ok(colours.trim().length > 0)

  await system.sql(`insert into orders (customer, total) values ('<img src=x onerror=alert(1)>', 1)`)
  await page.waitForSelector('#changes li[data-kind="INSERT"]:has-text("<img src=x")')
  assert.equal(await page.$('#changes img'), null, 'values are text, never HTML')
  if (process.env.PGTIDE_TEST_SCREENSHOT) await page.screenshot({ path: process.env.PGTIDE_TEST_SCREENSHOT })

  await page.click('#pause')
  assert.equal(await page.getAttribute('#pause', 'aria-pressed'), 'true')
  await page.click('#clear')
  assert.equal(await page.locator('#changes li').count(), 0)
  assert.deepEqual(problems, [])
  await page.close()
})

test('errors are readable, and the page comes back when its edge does', async () => {
  const { page } = await open(`#token=${encodeURIComponent(user(system))}`)
  await page.waitForSelector('#state[data-state="open"]')
  await page.fill('#table', 'nothing_here')
  await page.click('#watch-button')
  await page.waitForSelector('#problems li:has-text("nothing_here")')
  await page.click('button[data-table="sensors"]')
  await page.waitForSelector('#watched li[data-armed="true"]')
  for (const name of ['edge-0', 'edge-1']) await system.kill(name)
  await page.waitForSelector('#state:not([data-state="open"])')
  for (const name of ['edge-0', 'edge-1']) system.start(name)
  await page.waitForSelector('#state[data-state="open"]', { timeout: 60_000 })
  await page.waitForSelector('#watched li[data-armed="true"]')
  await page.click('#clear')
  await page.waitForSelector('#changes li')
  await page.close()
})

test('a token that is refused is said to be', async () => {
  const { page } = await open('#token=nonsense')
  await page.waitForSelector('#problems li:has-text("Invalid or expired token")')
  await page.close()
})

test('the seed\'s own page works, with only its token and port filled in', async () => {
  // The HTML of the seed's complete example, as a user would save it.
  await system.sql(`create table if not exists users (id int primary key, name text); grant select on users to authenticated; select enable_realtime('users')`)
  const script = `const token = '${user(system)}'
    const ws = new WebSocket('${system.url}/realtime?token=' + token)
    ws.onopen = () => ws.send(JSON.stringify({ type: 'subscribe', channel: 'table:public.users' }))
    ws.onmessage = event => {
      const message = JSON.parse(event.data)
      if (message.type === 'ack') document.title = 'subscribed'
      if (message.type !== 'broadcast') return
      const { type, record, old_record } = message.payload
      const p = document.createElement('p')
      if (type === 'INSERT') p.textContent = 'New user: ' + record.name
      if (type === 'UPDATE') p.textContent = 'Updated: ' + old_record.name + ' → ' + record.name
      if (type === 'DELETE') p.textContent = 'Deleted: ' + old_record.name
      document.getElementById('updates').prepend(p)
    }`
  const page = await browser.newPage()
  await page.setContent(`<div id="updates"></div><script>${script}</script>`)
  await page.waitForFunction(() => document.title === 'subscribed')
  await system.sql(`insert into users values (1, 'Ann'); update users set name = 'Bea'; delete from users`)
  await until('three lines', async () => (await page.locator('#updates p').count()) === 3)
  assert.deepEqual(await page.locator('#updates p').allTextContents(), ['Deleted: Bea', 'Updated: Ann → Bea', 'New user: Ann'])
  await page.close()
})

test('a second deploy/up is refused while this one runs, and down and up again takes seconds', async () => {
  const { ROOT } = await import('./lib/system.mjs')
  await assert.rejects(run(`${ROOT}/deploy/up`, system.args), error => /runs already/.test(error.stderr))
  await run(`${ROOT}/deploy/down`, ['--dir', system.dir])
  const started = Date.now()
  await system.up()
  const rows = await system.sql('select count(*)::int n from orders')
  assert.ok(rows[0].n > 0, 'the database is kept')
  assert.ok(Date.now() - started < 30_000, `took ${Date.now() - started} ms`)
})
