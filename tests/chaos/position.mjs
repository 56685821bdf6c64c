// Positions as texts of the protocol: epoch-lsn16-index, all hexadecimal. LSNs of a test database fit a number.
export const END_OF_TRANSACTION = 0xffffffff

export function parsePosition(text) {
  const found = /^([0-9a-f]+)-([0-9a-f]{16})-([0-9a-f]+)$/.exec(text ?? '')
  if (!found) throw new Error(`not a position: ${JSON.stringify(text)}`)
  return { epoch: found[1], lsn: parseInt(found[2], 16), index: parseInt(found[3], 16), text }
}

export const formatPosition = ({ epoch = '0', lsn, index }) =>
  `${epoch}-${lsn.toString(16).padStart(16, '0')}-${index.toString(16)}`

// Only within one epoch.
export const comparePositions = (a, b) => a.lsn - b.lsn || a.index - b.index

// What a client resumes from: the later of what it has and what it was told. Of two epochs the newly heard one.
export function later(known, heard) {
  if (!known || (heard && heard.epoch !== known.epoch)) return heard ?? known
  return heard && comparePositions(heard, known) > 0 ? heard : known
}
