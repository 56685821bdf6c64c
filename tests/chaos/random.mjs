// Random numbers that a seed reproduces (mulberry32). `derive` gives independent streams: what the writers draw
// must not depend on how many events the schedule has.
export class Random {
  constructor(seed) {
    this.state = seed >>> 0
  }

  static derive(seed, name) {
    let hash = seed >>> 0
    for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193) >>> 0
    return new Random(hash)
  }

  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }

  below(bound) {
    return Math.floor(this.next() * bound)
  }

  between(low, high) {
    return low + this.below(high - low + 1)
  }

  chance(share) {
    return this.next() < share
  }

  pick(list) {
    return list[this.below(list.length)]
  }

  // One of [weight, value] pairs.
  weighted(pairs) {
    let left = this.next() * pairs.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, value] of pairs) {
      left -= weight
      if (left < 0) return value
    }
    return pairs.at(-1)[1]
  }

  shuffled(list) {
    const copy = [...list]
    for (let at = copy.length - 1; at > 0; at--) {
      const other = this.below(at + 1)
      ;[copy[at], copy[other]] = [copy[other], copy[at]]
    }
    return copy
  }
}
