// TICKET: a signed word by which a browser, or another device, reaches one session.

internal import Access
internal import Events
internal import Loop
internal import RedisConnection
internal import Scripts
internal import Store
internal import Synchronization
internal import Wire

enum TicketVerb {
  /// How long a ticket lasts where no length is asked for.
  private static let lengthMs: Int64 = 15 * 60_000

  static let verb = Verb(
    name: "TICKET", rights: .read, words: [.session], options: [.ticketRole, .ttl],
    summary: "Makes a signed word by which its holder reaches this session, until a time.",
    role: .own, replies: ["OK", "NONE"], onlyReads: false
  ) { (call) throws(RequestError) in
    let address = call.address
    let role = SessionRole(rawValue: call.text(.ticketRole)) ?? .read
    if role == .write { try call.require(Rights.write) }
    guard let keys = call.shared.ticketKeys.withLock({ $0 }) else {
      throw RequestError(
        .unavailable, "the key of tickets could not be read from Redis yet; retry in a moment")
    }
    let generation: String
    do throws(SystemError) { generation = Hex.text(try Digest.randomBytes(8)) } catch {
      throw RequestError(.internal, "the system gives no random bytes")
    }
    let device = call.text(0).prefix { $0 != "/" }
    let query = ScriptQuery(
      TicketCall(
        device: address.device, session: address.session, generation: ArgumentText(generation),
        lengthMs: call.number(.ttl) ?? lengthMs), at: call.partition)
    let request = try HeldRequest(call)
    let principal = call.checksAccess ? call.caller.principal : nil
    request.store.call(query, timeoutMs: request.stepMs) { outcome in
      guard case .line(let line, _) = outcome,
        let ticket = ticket(line, device: String(device), role, by: principal)
      else { return request.end(outcome) }
      let reply = "OK {\"ticket\":\"\(keys.sign(ticket))\",\"expires_at\":\(ticket.endsAtMs)}"
      request.end(Array(reply.utf8))
    }
  }

  /// The ticket of `FOUND <session> <generation> <end>[ <user>]`; nil for another reply.
  private static func ticket(
    _ line: UnsafeBufferPointer<UInt8>, device: String, _ role: SessionRole,
    by principal: Principal?
  ) -> AccessTicket? {
    let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
    guard 4...5 ~= words.count, words[0] == "FOUND", let endsAtMs = Int64(words[3]) else {
      return nil
    }
    let user = words.count == 5 ? words[4] : nil
    return AccessTicket(
      device: device, session: words[1], role: role, generation: words[2], endsAtMs: endsAtMs,
      issuer: principal?.issuer(user: user) ?? TicketIssuer(user: user))
  }
}

/// A request for ticket.lua.
struct TicketCall: ScriptCall {
  static let script = Script.ticket
  let device: ArgumentText
  let session: ArgumentText?
  /// That of the session's tickets from now on, if there are none.
  let generation: ArgumentText
  let lengthMs: Int64

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(generation)
    words.word(lengthMs)
  }
}
