// Owns: the arguments that the scripts of locks have in common: lengths, leases and claimants.
// Values; live during one call of the verb, on the loop's thread.

internal import Access
internal import Events
internal import RedisConnection
internal import Scripts

/// For how long a lock is asked, and by which principal.
struct LockLength {
  let ms: Int64
  /// As `lock_records.lua` has it behind a TTL; empty where the principal's locks are not counted.
  var owner = ""

  var text: String { LockTTL.text(ofMs: ms) + owner }
}

/// What LOCK and RENEW ask for.
///
/// Nearly all of them ask for a length alone, and `renewals.lua` serves those together. So it is
/// one argument: the length, with `=` before one that was not asked for, and where more is asked
/// behind it the token and the idempotency key, either of which may be empty.
struct LockLease {
  let ttl: LockLength
  let isAsked: Bool
  let token: Int64?
  let req: ArgumentText?
  /// Whether it asks for a length alone.
  let isPlain: Bool

  init(ttl: LockLength, isAsked: Bool, token: Int64?, req: ArgumentText?) {
    self.ttl = ttl
    self.isAsked = isAsked
    self.token = token
    self.req = req
    isPlain = token == nil && req == nil
  }
}

/// The agent that says it holds a lock, and the token that it was given.
struct LockClaimant {
  let token: Int64
  let agent: ArgumentText
}

extension Call {
  /// The lease that LOCK or RENEW asks for, for the agent of the second word.
  func lease(token: Int64?) -> LockLease {
    LockLease(
      ttl: lockLength(ms: ttlMs(of: word(1))), isAsked: option(.ttl) != nil, token: token, req: req)
  }

  /// A length for which the request's caller is to have a lock.
  func lockLength(ms: Int64) -> LockLength {
    LockLength(ms: ms, owner: checksAccess ? caller.ownerText(.locks) : "")
  }
}

extension CommandBuffer {
  mutating func word(_ length: LockLength?) {
    if let length { word(length) } else { emptyWord() }
  }

  mutating func word(_ length: LockLength) { word(length.text) }

  mutating func word(_ lease: LockLease) {
    guard !lease.isPlain else {
      let (number, unit) = LockTTL.parts(ofMs: lease.ttl.ms)
      let before = lease.isAsked ? nil : UInt8(ascii: "=")
      return word(before: before, number, behind: unit, and: lease.ttl.owner)
    }
    // Rare: these are served one by one.
    let ttl = lease.ttl.text
    let token = lease.token.map { "\($0)" } ?? ""
    word("\(lease.isAsked ? "" : "=")\(ttl) \(token) \(lease.req?.string ?? "")")
  }

  mutating func word(_ claimant: LockClaimant) {
    guard case .lent(let agent) = claimant.agent else {
      return word("\(claimant.token) \(claimant.agent.string)")
    }
    word(claimant.token, agent)
  }
}
