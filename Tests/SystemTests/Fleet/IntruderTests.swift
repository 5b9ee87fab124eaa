// Owns: the attack on what keeps users apart, in a short form (scripts/soak has the long one):
// callers that guess, replay and forge, beside owners who share, take back and give tickets, and a
// writer in Redis that corrupts what records have of it. A model says who may see the session.

import Foundation
import Testing

import struct TestSupport.Seeded

/// Who may see one session, as its owner's requests have it.
private struct AccessModel {
  /// The roles of users that do not own it.
  var shares: [String: String] = [:]
  /// The tickets that were given, each with its role and the generation of its session.
  var tickets: [(text: String, role: String, generation: Int)] = []
  var generation = 0

  static let ranks = ["read": 1, "write": 2, "own": 3]

  /// Whether a role allows what needs one.
  static func allows(_ role: String?, _ needed: String) -> Bool {
    (ranks[role ?? ""] ?? 0) >= (ranks[needed] ?? 3)
  }
}

extension SystemSuites.Fleet {
  @Suite struct Intruders {
    private static let users = ["bob", "eve", "u%61"]
    private static let secret = "planted-secret"

    /// What an intruder asks, each with the role that it needs; `A` is the address.
    private static let requests: [(line: String, role: String)] = [
      ("GET A", "read"), ("GET A last=5", "read"), ("HISTORY A", "read"), ("CHATS A", "read"),
      ("KEYS A values=yes", "read"), ("TAKE A k", "read"), ("EXPORT A", "read"),
      ("GET A/1", "read"), ("SAY A {\"m\":1}", "write"), ("SET A {\"x\":1}", "write"),
      ("TOUCH A", "write"), ("PUT A other {}", "write"), ("REPORT A", "write"),
      ("AMEND A seq=1 {\"m\":\"\(secret)\"}", "write"), ("POP A last=999999", "write"),
      ("SHARE A user=eve role=own", "own"), ("UNSHARE A user=none-such", "own"),
      ("LINK A user eve", "own"),
    ]

    private func start(_ issuer: TokenIssuer) throws -> (Lab, PrincipalsFile) {
      let file = try PrincipalsFile(
        (["ada"] + Self.users).map { name in
          (
            name == "u%61" ? "third" : name,
            [
              "--rights", "read,write", "--links",
              name == "ada" ? "user=ada" : "user=\(name)", "--devices",
              name == "ada" ? "*" : "own-*",
            ]
          )
        })
      let arguments =
        ["--auth", file.path, "--request-timeout", "20s", "--jwt-keys", issuer.path]
        + SealKeysFile.ofLab.flags
      return (try Lab(workers: [arguments, arguments]), file)
    }

    @Test func `callers that guess, replay and forge see nothing of another's session`() throws {
      let issuer = try TokenIssuer([.hs256, .es256])
      let tokens = try ["ada", "bob"].map { ($0, try issuer.token($0, .hs256)) }
      let (lab, file) = try start(issuer)
      defer { lab.stop() }
      var random = Seeded("intruders")
      let ada = try file.connect(lab.workers[0], as: "ada")
      let intruders = try Self.users.map { user in
        (user, try file.connect(lab.workers[1], as: user == "u%61" ? "third" : user))
      }
      let session = try ada.request("OPEN dev-1 {\"field\":\"\(Self.secret)\"}").string("session")
      let address = "dev-1/\(session)"
      for line in [
        "SAY \(address) {\"m\":\"\(Self.secret)\"}", "PUT \(address) k {\"d\":\"\(Self.secret)\"}",
      ] {
        expect(try ada.request(line), "OK")
      }
      let other = "dev-1/\(try ada.request("OPEN dev-1 {\"o\":1}").string("session"))"
      let keys = try lab.redis.command("KEYS", "lk:*:session:\(address)")
      let key = try #require(keys.items.first?.string)
      var model = AccessModel()
      var rounds = Rounds(400)
      while rounds.next() {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2: try change(&model, address, other, ada, &random)
        case 2:
          try tamper(&model, key, lab, &random)
          try swapValues(address, key, lab, ada, &random)
        case 3:
          let (user, token) = tokens[Int.random(in: 0..<tokens.count, using: &random)]
          try presentToken(token, model.shares[user], user, address, lab, &random)
        case 4..<7:
          let (user, client) = intruders[Int.random(in: 0..<intruders.count, using: &random)]
          try ask(client, address, model.shares[user], "\(user)", &random)
        default: try present(model, address, lab, &random)
        }
      }
      #expect(try ada.request("GET \(address)").raw.contains(Self.secret))
    }

    /// The owner shares, takes back, gives a ticket, or ends all of them.
    private func change(
      _ model: inout AccessModel, _ address: String, _ other: String, _ ada: LineClient,
      _ random: inout Seeded
    ) throws {
      let user = Self.users[Int.random(in: 0..<Self.users.count, using: &random)]
      let role = ["read", "write", "own"][Int.random(in: 0..<3, using: &random)]
      switch Int.random(in: 0..<6, using: &random) {
      case 0..<2:
        expect(try ada.request("SHARE \(address) user=\(user) role=\(role)"), "OK")
        model.shares[user] = role
      case 2:
        expect(try ada.request("UNSHARE \(address) user=\(user)"), "OK")
        model.shares[user] = nil
      case 3:
        expect(try ada.request("UNSHARE \(address) tickets=all"), "OK")
        model.generation += 1
      case 4:
        // One of another session, which is good for that one alone.
        let ticket = try ada.request("TICKET \(other)").string("ticket")
        model.tickets.append((ticket, "none", -1))
      default:
        let role = role == "own" ? "read" : role
        let ticket = try ada.request("TICKET \(address) role=\(role)").string("ticket")
        model.tickets.append((ticket, role, model.generation))
      }
      if model.tickets.count > 20 { model.tickets.removeFirst() }
    }

    /// Something else in Redis writes what no worker does; the owner's next change puts it right.
    private func tamper(
      _ model: inout AccessModel, _ key: String, _ lab: Lab, _ random: inout Seeded
    ) throws {
      let wrong = [
        "", "x", "read bob", "own bob -5\n", "own\nbob 0\n", "own bob 0", "Own bob 0\n",
        "own eve 1\n", "own  eve 0\n", "own bob 0x10 \n", String(repeating: "own ", count: 2_000),
      ]
      let lines = wrong[Int.random(in: 0..<wrong.count, using: &random)]
      try lab.redis.command("HSET", key, "shares", lines)
      model.shares = [:]
      if Bool.random(using: &random) {
        let unique = String(UInt64.random(in: .min ... .max, using: &random), radix: 16)
        let words = ["", "zz", "0.1", unique]
        try lab.redis.command(
          "HSET", key, "tickets", words[Int.random(in: 0..<words.count, using: &random)])
        model.generation += 1
      }
    }

    /// Asks something of the session, and compares the answer with what the role allows.
    private func ask(
      _ client: LineClient, _ address: String, _ role: String?, _ who: String,
      _ random: inout Seeded
    ) throws {
      let (line, needed) = Self.requests[Int.random(in: 0..<Self.requests.count, using: &random)]
      // What would change the model is only asked where it is refused.
      guard needed != "own" || !AccessModel.allows(role, needed) else { return }
      let reply = try client.request(line.replacing(/\ A\b/) { _ in " \(address)" })
      if role == nil {
        #expect(reply.raw == "NONE" || reply.code == "forbidden", "\(who): \(line): \(reply)")
        // Rights and links of the caller are refused wherever they do not suffice.
        let isOwn = line.hasPrefix("LINK") || who == "a ticket" && needed != "read"
        #expect(reply.raw == "NONE" || isOwn, "\(who): \(line): \(reply)")
      } else if !AccessModel.allows(role, needed) {
        expect(reply, "ERR", "forbidden", "\(who), \(role ?? ""): \(line)")
      } else {
        #expect(reply.isOK || ["NONE", "STALE"].contains(reply.word), "\(who): \(line): \(reply)")
        #expect(reply.code != "forbidden", "\(who): \(line): \(reply)")
        return
      }
      #expect(!reply.raw.contains(Self.secret), "\(who): \(line): \(reply)")
    }

    /// Presents a ticket: as it was given, or with what makes it another.
    private func present(
      _ model: AccessModel, _ address: String, _ lab: Lab, _ random: inout Seeded
    ) throws {
      guard let given = model.tickets.randomElement(using: &random) else { return }
      let client = try lab.connect(Int.random(in: 0..<2, using: &random))
      let forged = forge(given.text, model, &random)
      let reply = try client.request("AUTH ticket \(forged ?? given.text)")
      guard forged == nil else {
        return #expect(reply.code == "forbidden" || reply.code == "bad_request", "\(forged ?? "")")
      }
      expect(reply, "OK")
      let isGood = given.generation == model.generation
      try ask(client, address, isGood ? given.role : nil, "a ticket", &random)
    }

    /// Puts one sealed value in the place of another, or changes it: its owner sees null there.
    private func swapValues(
      _ address: String, _ key: String, _ lab: Lab, _ ada: LineClient, _ random: inout Seeded
    ) throws {
      let names = ["f:\"field\"", "f:\"swapped\""]
      expect(try ada.request("SET \(address) {\"swapped\":\"\(Self.secret) 2\"}"), "OK")
      let stored = try names.map { try lab.redis.command("HGET", key, $0).string ?? "" }
      let own = stored[1].split(separator: " ", maxSplits: 1).map(String.init)
      let other = stored[0].split(separator: " ", maxSplits: 1).map(String.init)
      guard own.count == 2, other.count == 2 else { throw Failure("fields: \(stored)") }
      var bytes = Array(own[1].utf8)
      let at = Int.random(in: 5..<bytes.count - 5, using: &random)
      bytes[at] = bytes[at] == 0x41 ? 0x42 : 0x41
      let wrong = [other[1], String(decoding: bytes, as: UTF8.self)]
      let value = wrong[Int.random(in: 0..<2, using: &random)]
      try lab.redis.command("HSET", key, names[1], "\(own[0]) \(value)")
      let reply = try ada.request("GET \(address) fields=field,swapped")
      #expect(
        reply.raw.contains("\"fields\":{\"field\":\"\(Self.secret)\",\"swapped\":null}"), "\(reply)"
      )
      expect(try ada.request("SET \(address) {\"swapped\":null}"), "OK")
    }

    /// Presents a token: as it was issued, or with what makes it another.
    private func presentToken(
      _ token: String, _ role: String?, _ user: String, _ address: String, _ lab: Lab,
      _ random: inout Seeded
    ) throws {
      let parts = token.split(separator: ".").map(String.init)
      var forged: String?
      func encoded(_ text: String) -> String { TokenIssuer.base64URL(Data(text.utf8)) }
      switch Int.random(in: 0..<6, using: &random) {
      case 0: forged = "\(encoded("{\"alg\":\"none\"}")).\(parts[1])."
      case 1: forged = "\(encoded("{\"alg\":\"ES256\",\"kid\":\"HS256\"}")).\(parts[1]).\(parts[2])"
      case 2: forged = "\(parts[0]).\(encoded("{\"sub\":\"ada\",\"exp\":9999999999}")).\(parts[2])"
      case 3: forged = "\(parts[0]).\(parts[1]).\(parts[2].dropLast())"
      case 4: forged = "\(parts[0]).\(parts[1]).\(String(repeating: "A", count: parts[2].count))"
      default: break
      }
      let client = try lab.connect(Int.random(in: 0..<2, using: &random))
      let reply = try client.request("AUTH jwt \(forged ?? token)")
      guard forged == nil else { return expect(reply, "ERR", "forbidden", "\(forged ?? "")") }
      expect(reply, "OK")
      let isOwner = user == "ada"
      if !isOwner { try ask(client, address, role, "a token", &random) }
      if isOwner { expect(try client.request("GET \(address)"), "OK") }
    }

    /// A ticket that its owner has not given; nil for one that is replayed as it is.
    private func forge(_ text: String, _ model: AccessModel, _ random: inout Seeded) -> String? {
      var bytes = Array(text.utf8)
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        let at = Int.random(in: 2..<bytes.count, using: &random)
        bytes[at] = bytes[at] == 0x41 ? 0x42 : 0x41
        return String(decoding: bytes, as: UTF8.self)
      case 1: return String(text.dropLast(Int.random(in: 1..<text.count - 2, using: &random)))
      case 2:
        // The claims of one with the signature of another.
        guard let next = model.tickets.randomElement(using: &random)?.text, next != text else {
          return nil
        }
        let (claims, signature) = (text.split(separator: "~"), next.split(separator: "~"))
        return "t~\(claims[1])~\(signature[2])"
      case 3: return "t~" + String(repeating: "A", count: Int.random(in: 1..<600, using: &random))
      default: return nil
      }
    }
  }
}
