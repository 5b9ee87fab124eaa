// Owns: the tests of tickets: what one says, that nothing but its keys makes one, and their file.

import Loop
import Testing

@testable import Access

struct TicketTests {
  private static let ticket = AccessTicket(
    device: "dev-1", session: "01J0000000000000000000000A", role: .write, generation: "0a1b",
    endsAtMs: 2_000)
  private static let secrets = (1...3).map { number in
    "k\(number):" + String(repeating: "\(number)", count: 44)
  }

  private func keys(_ numbers: Int...) throws -> TicketKeys {
    try TicketKeys(lines: numbers.map { Self.secrets[$0 - 1] }.joined(separator: "\n"))
  }

  /// The ticket that is accepted, or the reason why it is not.
  private func accepted(
    _ text: String, _ keys: TicketKeys, at wallMs: Int64 = 1_000, issuers: Principals? = nil
  ) -> String {
    Array(text.utf8).withUnsafeBufferPointer { bytes in
      do throws(AuthenticationFault) {
        let principal = try keys.principal(
          bytes, TokenClock(wallMs: wallMs, monotonicMs: 50), issuers: issuers)
        return principal.ticket == Self.ticket ? "its own" : "another"
      } catch {
        return error.text
      }
    }
  }

  @Test func `a ticket is one session's, in its role, until its end`() throws {
    let keys = try keys(1)
    let text = keys.sign(Self.ticket)
    #expect(accepted(text, keys) == "its own" && AccessTicket.isOne(text.utf8))
    #expect(accepted(text, keys, at: 1_999) == "its own")
    #expect(accepted(text, keys, at: 2_000) == "invalid ticket: it has expired")
    let principal = try Array(text.utf8).withUnsafeBufferPointer {
      try keys.principal($0, TokenClock(wallMs: 1_000, monotonicMs: 50), issuers: nil)
    }
    #expect(principal.endsAtMs == 1_050 && principal.rights == [.read, .write])
    #expect(principal.users?.text == "#write.0a1b.2000")
    #expect(principal.users?.has("ada") == false && principal.users?.onlyUser == nil)
    #expect(principal.sees(Array("dev-1".utf8)) && !principal.sees(Array("dev-2".utf8)))
    // It needs no escape in a URL, in a word of a line, or in a header.
    #expect(
      text.utf8.allSatisfy {
        "-_~".utf8.contains($0) || Character(UnicodeScalar($0)).isLetter
          || Character(UnicodeScalar($0)).isNumber
      })
  }

  // MARK: Its issuer

  /// The file of one principal.
  private static func principals(_ name: String, grants: String) throws -> Principals {
    let grants = grants.split(separator: " ").map(String.init)
    return try PrincipalFile.parse(NewPrincipal(name: name, secret: nil, grants: grants).line)
  }

  private static func ticket(by issuer: TicketIssuer) -> AccessTicket {
    AccessTicket(
      device: ticket.device, session: ticket.session, role: .write,
      generation: ticket.generation, endsAtMs: ticket.endsAtMs, issuer: issuer)
  }

  /// What the ticket shows to a worker with these principals; nil if it is refused.
  private func principal(
    _ ticket: AccessTicket, _ keys: TicketKeys, issuers: Principals?
  ) throws -> Principal? {
    try Array(keys.sign(ticket).utf8).withUnsafeBufferPointer { text in
      do throws(AuthenticationFault) {
        return try keys.principal(
          text, TokenClock(wallMs: 1_000, monotonicMs: 50), issuers: issuers)
      } catch {
        guard error.text == "invalid ticket: its issuer has no longer the rights for it" else {
          throw error
        }
        return nil
      }
    }
  }

  @Test func `a ticket counts as long as its issuer might issue it, and has its limits`() throws {
    let keys = try keys(1)
    let rights = "rights=read,write"
    let first = try Self.principals("app", grants: "\(rights) devices=dev-* links=*")
    let app = try #require(first["app"])
    let (open, ofAda) = (
      Self.ticket(by: app.issuer(user: nil)), Self.ticket(by: app.issuer(user: "ada"))
    )
    let rows: [(name: String, grants: String, open: Bool, ofAda: Bool)] = [
      ("app", "\(rights) devices=dev-* links=*", true, true),
      ("app", "\(rights) devices=dev-1 links=tag=*", true, false),
      ("app", "\(rights) devices=dev-* links=user=ada,user=bob", false, true),
      ("app", "\(rights) devices=dev-* links=user=bob", false, false),
      // A session that is shared with its user may be on any device.
      ("app", "\(rights) devices=x links=user=ada", false, true),
      ("app", "\(rights) devices=x links=*", false, false),
      ("app", "rights=read devices=dev-* links=*", false, false),
      ("other", "\(rights) devices=dev-* links=*", false, false),
    ]
    for row in rows {
      let issuers = try Self.principals(row.name, grants: row.grants + " rate=7")
      for (ticket, isGood) in [(open, row.open), (ofAda, row.ofAda)] {
        let found = try principal(ticket, keys, issuers: issuers)
        #expect((found != nil) == isGood, "\(row)")
        guard let found else { continue }
        #expect(found.limits[.rate] == 7 && found.useName == "app" && found.mark == app.mark)
        #expect(found.limitedName == "the issuer of this ticket")
        // On a connection, when the file is read again.
        #expect(keys.current(found, issuers: first)?.limits == PrincipalLimits())
        #expect(try keys.current(found, issuers: Self.principals("b", grants: rights)) == nil)
        #expect(try self.keys(2).current(found, issuers: first) == nil)
      }
    }
    // Where all may call, so may its holder; what was issued there has no issuer elsewhere.
    let free = try #require(try principal(ofAda, keys, issuers: nil))
    #expect(free.limits == PrincipalLimits() && free.mark.isEmpty && free.useName == free.key)
    #expect(try principal(Self.ticket, keys, issuers: first) == nil)
  }

  @Test func `a ticket of a token's user ends with the key that has signed the token`() throws {
    let keys = try keys(1)
    let secret = { (letter: String) in
      "{\"kty\":\"oct\",\"k\":\"\(String(repeating: letter, count: 64))\"}"
    }
    func verifier(_ secrets: String...) throws -> TokenVerifier {
      var limits = PrincipalLimits()
      limits[.events] = 3
      let set = "{\"keys\":[\(secrets.map(secret).joined(separator: ","))]}"
      return TokenVerifier(
        try TokenKeys(Array(set.utf8), "keys.json"), TokenRules(limits: limits))
    }
    let signer = try verifier("A").keys.candidates(id: nil)[0].fingerprint
    let ada = Principal(
      users: ["ada"], rights: [.read], devices: [.everything],
      TokenGrant(key: signer, endsAtMs: 9))
    let ticket = Self.ticket(by: ada.issuer(user: "ada"))
    let file = try Self.principals("app", grants: "rights=read")
    let found = try #require(
      try principal(ticket, keys, issuers: file.with(try verifier("B", "A"))))
    #expect(found.limits[.events] == 3 && found.useName == ada.key && found.mark.isEmpty)
    #expect(try principal(ticket, keys, issuers: file.with(try verifier("B"))) == nil)
    #expect(try principal(ticket, keys, issuers: file) == nil)
  }

  @Test func `each ticket has idempotency keys of its own`() throws {
    let keys = try keys(1)
    func key(endsAtMs: Int64) throws -> String {
      let ticket = AccessTicket(
        device: "dev-1", session: Self.ticket.session, role: .write, generation: "0a1b",
        endsAtMs: endsAtMs)
      return try Array(keys.sign(ticket).utf8).withUnsafeBufferPointer {
        try keys.principal($0, TokenClock(wallMs: 1_000, monotonicMs: 50), issuers: nil).key
      }
    }
    #expect(try key(endsAtMs: 2_000) == key(endsAtMs: 2_000))
    #expect(try key(endsAtMs: 2_000) != key(endsAtMs: 2_001))
  }

  @Test func `the longest device has room`() throws {
    let keys = try TicketKeys(
      lines: String(repeating: "k", count: 64) + ":" + String(repeating: "1", count: 44))
    let longest = AccessTicket(
      device: String(repeating: "%", count: 512), session: Self.ticket.session, role: .write,
      generation: "0123456789abcdef", endsAtMs: 9_999_999_999_999,
      issuer: TicketIssuer(
        name: String(repeating: "n", count: 68), user: String(repeating: "%", count: 512),
        tokenKey: "0123456789abcdef"))
    let text = keys.sign(longest)
    #expect(text.utf8.count <= AccessTicket.bytesMax && accepted(text, keys) == "another")
  }

  @Test func `a ticket with another byte, or none of its bytes, is invalid`() throws {
    let keys = try keys(1)
    let text = Array(keys.sign(Self.ticket).utf8)
    for at in text.indices {
      for byte in [text[at] ^ 1, text[at] ^ 0x20, UInt8(ascii: "~"), UInt8(ascii: "A")]
      where byte != text[at] {
        var other = text
        other[at] = byte
        #expect(accepted(String(decoding: other, as: UTF8.self), keys) == "invalid ticket", "\(at)")
      }
      #expect(accepted(String(decoding: text[..<at], as: UTF8.self), keys) == "invalid ticket")
    }
    let whole = String(decoding: text, as: UTF8.self)
    for other in [
      "", "t~", "t~~", "t~e30~e30", whole + "~", whole + "A", "x" + whole, whole + "==",
    ] {
      #expect(accepted(other, keys) == "invalid ticket", "\(other)")
    }
    #expect(accepted("t~" + String(repeating: "A", count: 4_000), keys) == "invalid ticket")
  }

  @Test func `keys are replaced one after the other`() throws {
    let old = try keys(1)
    let text = old.sign(Self.ticket)
    let (both, new) = (try keys(2, 1), try keys(2))
    #expect(accepted(text, both) == "its own" && accepted(text, new) == "invalid ticket")
    let next = both.sign(Self.ticket)
    #expect(accepted(next, new) == "its own" && accepted(next, old) == "invalid ticket")
    // The same id with another key.
    let forged = try TicketKeys(lines: "k1:" + String(repeating: "3", count: 44))
    #expect(accepted(forged.sign(Self.ticket), old) == "invalid ticket")
    let (same, turned) = (try self.keys(2, 1), try self.keys(1, 2))
    #expect(both.isSame(as: same) && !both.isSame(as: turned) && both.count == 2)
  }

  @Test func `no ticket owns a session`() throws {
    let owning = AccessTicket(
      device: "d", session: Self.ticket.session, role: .own, generation: "0a", endsAtMs: 2_000)
    let keys = try keys(1)
    #expect(accepted(keys.sign(owning), keys) == "invalid ticket")
  }

  @Test func `the fleet's key is 64 digits`() throws {
    let made = try TicketKeys.madeForFleet()
    let keys = try #require(TicketKeys(ofFleet: made))
    #expect(accepted(keys.sign(Self.ticket), keys) == "its own")
    #expect(try TicketKeys.madeForFleet() != made)
    for text in ["", "0a", made + "0a", String(made.dropLast()) + "x", String(made.dropLast(2))] {
      #expect(TicketKeys(ofFleet: text) == nil, "\(text)")
    }
  }

  @Test func `a file of keys has an id and enough random bytes on each line`() throws {
    let key = String(repeating: "1", count: 44)
    for lines in [
      "a:\(key)", "# keys\n\na:\(key)=\r\n", "  a:\(key)\nb:\(key)",
      "a:" + String(repeating: "+/", count: 22),
    ] {
      #expect(throws: Never.self, "\(lines)") { try TicketKeys(lines: lines) }
    }
    for lines in [
      "", "# none", key, "a \(key)", "a:\(key) b", "a:\(key.dropLast())", ":\(key)", "a b:\(key)",
      "a:\(key)===", "a:\(key.dropLast())!", "a:\(key)\na:\(key)", "a:b:\(key)",
      (0..<17).map { "a\($0):\(key)" }.joined(separator: "\n"),
    ] {
      #expect(throws: TicketKeysError.self, "\(lines)") { try TicketKeys(lines: lines) }
    }
  }
}
