// What a newcomer sees: deploy/up with its demo, and the page in a real browser.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
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

// PGTIDE_SEED_PAGE: a document with a page in it (the seed's, say), which is tried too, to the letter. It is not ours to copy.
const PAGES = [['a page of a user', readFileSync(new URL('page/users.html', import.meta.url), 'utf8')]]
if (process.env.PGTIDE_SEED_PAGE) PAGES.push([`the page in ${process.env.PGTIDE_SEED_PAGE}`, readFileSync(process.env.PGTIDE_SEED_PAGE, 'utf8').match(/```html\n([^]*?)```/)[1]])

for (const [name, original] of PAGES) {
  test(`${name} works, saved as a file, with only its token and port filled in`, async () => {
    await system.sql(`create table if not exists users (id int primary key, name text); grant select on users to authenticated; select enable_realtime('users')`)
    const html = original.replace('YOUR_JWT_TOKEN', user(system)).replace('localhost:8080', `localhost:${system.port}`)
    assert.equal(html.replace(user(system), 'YOUR_JWT_TOKEN').replace(`localhost:${system.port}`, 'localhost:8080'), original)
    const file = join(system.dir, 'realtime.html')
    writeFileSync(file, html)
    const page = await browser.newPage()
    const said = []
    page.on('console', message => said.push(`${message.type()} ${message.text()}`))
    page.on('pageerror', error => said.push(`pageerror ${error}`))
    await page.goto(pathToFileURL(file).href)
    await until('it is subscribed', () => said.includes('log Subscribed to table:public.users'))
    await system.sql(`insert into users values (1, 'Ann'); update users set name = 'Bea'; delete from users`)
    await until('three lines', async () => (await page.locator('#updates p').count()) === 3)
    assert.deepEqual(await page.$$eval('#updates p', lines => lines.map(line => [line.textContent, line.style.color])),
      [['Deleted: Bea', 'red'], ['Updated: Ann → Bea', 'blue'], ['New user: Ann', 'green']])
    assert.deepEqual(said.filter(line => !line.startsWith('log ')), [])
    await page.close()
  })
}

test('a second deploy/up is refused while this one runs, and down and up again keeps the database', async () => {
  const { ROOT } = await import('./lib/system.mjs')
  await assert.rejects(run(`${ROOT}/deploy/up`, system.args), error => /runs already/.test(error.stderr))
  await run(`${ROOT}/deploy/down`, ['--dir', system.dir])
  await system.up()
  const rows = await system.sql('select count(*)::int n from orders')
  assert.ok(rows[0].n > 0, 'the database is kept')
})
