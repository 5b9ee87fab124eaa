// Owns: the tests of tickets: what the holder of one reaches, and what becomes of it.

import Foundation
import Glibc
import TestSupport
import Testing

extension SystemSuites.Fleet {
  @Suite struct Tickets {
    private static let principals: [(name: String, grants: [String])] = [
      ("ada", ["--rights", "read,write", "--links", "user=ada,tag=*"]),
      ("bob", ["--rights", "read,write", "--links", "user=bob"]),
      ("reader", ["--rights", "read", "--links", "user=ada"]),
    ]

    private func start(
      _ flags: [String] = [], workers: Int = 1
    ) throws -> (Lab, PrincipalsFile) {
      let file = try PrincipalsFile(Self.principals)
      let arguments = ["--auth", file.path, "--http", "127.0.0.1:0"] + flags
      return (try Lab(workers: Array(repeating: arguments, count: workers)), file)
    }

    private func open(_ device: String, _ ada: LineClient) throws -> String {
      let address = "\(device)/\(try ada.request("OPEN \(device) {\"k\":1}").string("session"))"
      for request in ["SAY \(address) [{\"m\":1},{\"m\":2}]", "PUT \(address) k {}"] {
        expect(try ada.request(request), "OK", "", "\(request)")
      }
      return address
    }

    private func ticket(_ client: LineClient, _ rest: String) throws -> String {
      try client.request("TICKET \(rest)").string("ticket")
    }

    /// A connection by a ticket.
    private func connect(_ lab: Lab, _ ticket: String, _ index: Int = 0) throws -> LineClient {
      let client = try lab.connect(index)
      let reply = try client.request("AUTH ticket \(ticket)")
      guard try reply.string("name") == "ticket" else { throw Failure("AUTH ticket: \(reply)") }
      return client
    }

    @Test(arguments: ["read", "write"])
    func `a ticket reaches its session in its role, and nothing else`(role: String) throws {
      let (lab, file) = try start(["--max-user-sessions", "1000", "--max-sessions", "1000"])
      defer { lab.stop() }
      let ada = try file.connect(lab.worker, as: "ada")
      let other = try open("dev-1", ada)
      let nothing = "01J0000000000000000000000A"
      let foreign = try open("dev-2", ada)
      var (address, holders) = ("", [LineClient]())
      for (number, (line, needed)) in Shares.requests.enumerated() {
        if address.isEmpty {
          address = try open("dev-1", ada)
          let ticket = try ticket(ada, "\(address) role=\(role)")
          holders = [
            try connect(lab, ticket),
            try HTTPLineClient(httpPort: lab.worker.httpPort, secret: ticket),
          ]
        }
        let holder = holders[number % 2]
        // Its own session, under its id, and as the current one.
        let isAllowed = (needed == "read" || needed == role) && !line.hasPrefix("COPY")
        let names = needed != "read" || line.contains("A/") ? [] : ["dev-1/current", "dev-1"]
        for own in [address] + names {
          let reply = try ask(holder, line, own)
          #expect((reply.code == "forbidden") != isAllowed, "\(line) about \(own): \(reply)")
          #expect(reply.word != "NONE", "\(line) about \(own): \(reply)")
        }
        // Others are not there, whether they are or not.
        for pair in [[other, "dev-1/\(nothing)"], [foreign, "dev-2/\(nothing)"]] {
          let replies = try pair.map { try ask(holder, line, $0) }
          #expect(replies[0].raw == replies[1].raw, "\(line)")
          #expect(replies[0].word == "NONE" || replies[0].code == "forbidden", "\(line)")
        }
        if isAllowed, needed != "read" { address = "" }
      }
      let holder = try connect(lab, try ticket(ada, other))
      for line in Self.aboutOthers {
        expect(try holder.request(line), "ERR", "forbidden", "\(line)")
      }
      #expect(try ada.request("HISTORY \(other)").raw.contains("\"last_seq\":2"))
    }

    /// Requests that are not about one session.
    private static let aboutOthers = [
      "LOCK dev-1 a", "HOLDER dev-1", "UNLOCK dev-1 a", "RENEW dev-1 a token=1",
      "HANDOFF dev-1 a b",
      "SEIZE dev-1 a", "CLEAR dev-1", "LOCKS", "TURN dev-1 {}", "DONE dev-1 turn=1",
      "PART dev-1 turn=1 {}", "OPEN dev-1", "LIST dev-1", "LIST user=ada", "LIST *",
      "PROFILE user=ada",
      "EVENTS dev-1", "EVENTS * group=g", "ACK g 0a3-1-1", "STATS", "REPORT user=ada",
      "REPORT agent=a", "IMPORT {}", "WATCH *", "WATCH user=ada", "GET user=ada", "SAY user=ada {}",
      "GET dev-1 as=ada", "INFO",
    ]

    /// Sends a request about an address; a watch ends with its reply.
    private func ask(_ client: LineClient, _ line: String, _ address: String) throws -> Reply {
      let reply = try client.request(line.replacing(/\ A\b/) { _ in " \(address)" })
      guard line.hasPrefix("WATCH"), reply.isOK, !(client is HTTPLineClient) else { return reply }
      try client.sendLine("UNWATCH")
      while try !client.reply().isOK {}
      return reply
    }

    @Test func `only an owner gives tickets, of what it may itself`() throws {
      let (lab, file) = try start()
      defer { lab.stop() }
      let (ada, bob) = (
        try file.connect(lab.worker, as: "ada"), try file.connect(lab.worker, as: "bob")
      )
      let address = try open("dev-1", ada)
      expect(try bob.request("TICKET \(address)"), "NONE")
      for (role, code) in [("write", "forbidden"), ("own", "")] {
        expect(try ada.request("SHARE \(address) user=bob role=\(role)"), "OK")
        #expect(try bob.request("TICKET \(address)").code == code)
      }
      let reader = try file.connect(lab.worker, as: "reader")
      expect(try reader.request("TICKET \(address)"), "OK")
      expect(try reader.request("TICKET \(address) role=write"), "ERR", "forbidden")
      expectBadRequest(try ada.request("TICKET \(address) role=own"), naming: "role=")
      expectBadRequest(try ada.request("TICKET \(address) ttl=0"), naming: "ttl=")
      expectBadRequest(try ada.request("TICKET \(address)/1"), naming: "chat")
      expect(try ada.request("TICKET dev-9"), "NONE")
      // `current` is the one that it was then.
      let holder = try connect(lab, try ticket(ada, "dev-1"))
      expect(try ada.request("OPEN dev-1"), "OK")
      #expect(try holder.request("GET dev-1").string("session") == address.dropFirst(6))
      #expect(try !holder.request("GET dev-1").raw.contains("shares"))
      let members = try lab.connect().request("AUTH ticket \(try ticket(ada, "\(address) ttl=1h"))")
      #expect(try members.string("session") == address.dropFirst(6))
      #expect(try members.string("role") == "read" && members.string("device") == "dev-1")
      for wrong in ["t~x~y", "x", "t~"] {
        expect(try lab.connect().request("AUTH ticket \(wrong)"), "ERR", "forbidden")
      }
      let guesser = try lab.connect()
      for _ in 0..<3 { expect(try guesser.request("AUTH ticket t~x~y"), "ERR", "forbidden") }
      #expect(guesser.isClosed())
    }

    @Test func `a ticket ends at its time, and with the others of its session`() throws {
      let (lab, file) = try start(workers: 2)
      defer { lab.stop() }
      let ada = try file.connect(lab.workers[0], as: "ada")
      let address = try open("dev-1", ada)
      let ticket = try ticket(ada, address)
      // Another worker verifies it by the same key, which Redis keeps.
      let holder = try connect(lab, ticket, 1)
      expect(try holder.request("WATCH \(address) changes=yes"), "OK")
      let stream = try HTTPClient(port: lab.workers[1].httpPort)
      try stream.send("GET", "/v1/watch/dev-1?ticket=\(ticket)&changes=yes")
      #expect(try stream.head().0 == 200)
      let http = try HTTPClient(port: lab.workers[1].httpPort)
      let bearer = "Authorization: Bearer \(ticket)"
      #expect(try http.get("/v1/get/dev-1", [bearer]).status == 200)
      // No secret is taken in an address, and no ticket beside a bearer.
      for (query, headers, status) in [
        (file.secret("ada"), [], 403), (ticket, [bearer], 400),
        ("\(ticket)&%74icket=\(ticket)", [], 400),
      ] {
        let other = try HTTPClient(port: lab.workers[1].httpPort)
        #expect(try other.get("/v1/watch/dev-1?ticket=\(query)", headers).status == status)
      }
      expect(try ada.request("UNSHARE \(address) tickets=all"), "OK")
      expect(try ada.request("SAY \(address) {\"secret\":1}"), "OK")
      let last = try holder.reply()
      #expect(try last.string("type") == "watch.ended" && last.string("reason") == "forbidden")
      var lines: [String] = []
      repeat { lines = try stream.event() } while !"\(lines)".contains("watch.ended")
      #expect(stream.isClosed())
      expect(try holder.request("GET \(address)"), "NONE")
      #expect(try http.get("/v1/get/dev-1", [bearer]).status == 404)
      // A new one is not the old one.
      expect(try connect(lab, try self.ticket(ada, address)).request("GET dev-1"), "OK")
      expect(try holder.request("GET \(address)"), "NONE")
      // By the clock.
      let short = try connect(lab, try self.ticket(ada, "\(address) ttl=800ms"))
      expect(try short.request("WATCH \(address)"), "OK")
      #expect(try short.reply().string("reason") == "auth_required")
      expect(try short.request("GET \(address)"), "ERR", "auth_required")
      // It does not come back with an import.
      let kept = try connect(lab, try self.ticket(ada, address))
      let export = try ada.request("EXPORT \(address)").raw.dropFirst(3)
      #expect(!export.contains("tickets"))
      expect(try ada.request("IMPORT replace=yes \(export)"), "OK")
      expect(try kept.request("GET \(address)"), "NONE")
    }

    @Test func `the keys of a file are replaced while tickets are in use`() throws {
      let path = "\(try Scratch.folder("tickets"))/keys"
      let lines = (1...2).map { "k\($0):" + String(repeating: "\($0)", count: 44) + "\n" }
      try lines[0].write(toFile: path, atomically: true, encoding: .utf8)
      let (lab, file) = try start(["--ticket-keys", path])
      defer { lab.stop() }
      let ada = try file.connect(lab.worker, as: "ada")
      let address = try open("dev-1", ada)
      let old = try ticket(ada, address)
      let holder = try connect(lab, old)
      func write(_ text: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        lab.worker.signal(SIGHUP)
      }
      // A broken file changes nothing.
      try write("nothing")
      try write(lines[1] + lines[0])
      var new = ""
      try eventually("tickets are signed by the new key") {
        new = try ticket(ada, address)
        return new.prefix(8) != old.prefix(8)
      }
      expect(try holder.request("GET dev-1"), "OK")
      try write(lines[1])
      try eventually("the old key's tickets have ended") {
        try lab.connect().request("AUTH ticket \(old)").code == "forbidden"
      }
      try eventually("and their connections") {
        try holder.request("GET dev-1").code == "auth_required"
      }
      expect(try connect(lab, new).request("GET dev-1"), "OK")
    }

    @Test func `a ticket has its issuer's limits, and ends with its issuer's rights`() throws {
      let rights = ["--rights", "read,write"]
      let file = try PrincipalsFile([
        ("app", rights + ["--links", "*", "--connections", "3", "--rate", "200"]), ("b", rights),
      ])
      let lab = try Lab(workers: [["--auth", file.path]])
      defer { lab.stop() }
      let app = try file.connect(lab.worker, as: "app")
      let opened = try app.request("OPEN dev-1 user=ada")
      let address = "dev-1/\(try opened.string("session"))"
      let (open, ofAda) = (
        try ticket(app, "\(address) ttl=1h"), try ticket(app, "\(address) ttl=1h as=ada")
      )
      let holders = [try connect(lab, open), try connect(lab, ofAda)]
      let further = try lab.connect().request("AUTH ticket \(open)")
      #expect(
        further.raw
          == "ERR overloaded quota exceeded: 3 of 3 connections of the issuer of this ticket")
      // Twenty may come at once, of whichever ticket.
      try holders[0].send(Array(String(repeating: "GET dev-1\n", count: 200).utf8))
      let replies = try holders[0].replies(200)
      let refusal = "ERR overloaded rate limited: the issuer of this ticket may send 200 requests"
      #expect(replies.count { $0.raw.hasPrefix(refusal) } > 100)
      #expect(try lab.worker.metric("latchkey_principal_limited_total", Self.rateOfApp) > 100)
      func change(_ grants: [String]) throws {
        try file.change("app", grants)
        try file.write()
        lab.worker.signal(SIGHUP)
      }
      // A link that the issuer had not needed, and then one that it has.
      for (holder, text, grants) in [
        (holders[0], open, ["--links", "user=ada"]), (holders[1], ofAda, ["--links", "user=bob"]),
      ] {
        try eventually("room for a request") { try holder.request("GET dev-1").isOK }
        try change(rights + grants)
        try eventually("its right has ended") {
          try holder.request("GET dev-1").code == "auth_required"
        }
        #expect(
          try lab.connect().request("AUTH ticket \(text)").raw
            == "ERR forbidden invalid ticket: its issuer has no longer the rights for it")
      }
      try change(rights + ["--links", "*"])
      try eventually("it is good again") {
        try lab.connect().request("AUTH ticket \(open)").isOK
      }
      file.remove("app")
      try file.write()
      lab.worker.signal(SIGHUP)
      try eventually("its issuer is gone") {
        try lab.connect().request("AUTH ticket \(open)").code == "forbidden"
      }
    }

    private static let rateOfApp = "principal=\"app\",limit=\"rate\""

    @Test func `without authentication a ticket is good as well, and its holder limited`() throws {
      let lab = try Lab(workers: [["--http", "127.0.0.1:0"]])
      defer { lab.stop() }
      let client = try lab.connect()
      let address = "dev-1/\(try client.request("OPEN dev-1 {\"k\":1}").string("session"))"
      let ticket = try ticket(client, "\(address) ttl=1h")
      let holder = try connect(lab, ticket)
      expect(try holder.request("GET dev-1"), "OK")
      expect(try holder.request("SAY dev-1 {}"), "ERR", "forbidden")
      expect(try holder.request("OPEN dev-1"), "ERR", "forbidden")
      let http = try lab.worker.http()
      #expect(try http.get("/v1/get/dev-1", ["Authorization: Bearer \(ticket)"]).status == 200)
      #expect(
        try http.post("/v1/say/dev-1", ["Authorization: Bearer \(ticket)"], "{}").status == 403)
      // Each request says who asks.
      #expect(try http.post("/v1/say/dev-1", [], "{}").status == 200)
    }

    @Test func `where all may call, waits and watches outlast the tickets of others`() throws {
      let path = "\(try Scratch.folder("tickets"))/keys"
      let keys = (1...2).map { "k\($0):" + String(repeating: "\($0)", count: 44) + "\n" }
      try keys[0].write(toFile: path, atomically: true, encoding: .utf8)
      let lab = try Lab(workers: [["--ticket-keys", path]])
      defer { lab.stop() }
      let (client, watcher, waiter) = (try lab.connect(), try lab.connect(), try lab.connect())
      expect(try watcher.request("WATCH dev-2"), "OK")
      try waiter.sendLine("EVENTS dev-2 wait=20s")
      let address = "dev-1/\(try client.request("OPEN dev-1").string("session"))"
      let ticket = try ticket(client, address)
      // A caller takes another principal, and its own watch ends with its right to it.
      let holder = try lab.connect()
      expect(try holder.request("WATCH dev-2"), "OK")
      try holder.sendLine("AUTH ticket \(ticket)")
      let lines = try [holder.readLine(), holder.readLine()].compactMap(\.self)
      #expect(lines.contains(#"EVENT {"type":"watch.ended","reason":"forbidden"}"#), "\(lines)")
      #expect(holder.isClosed())
      try keys[1].write(toFile: path, atomically: true, encoding: .utf8)
      lab.worker.signal(SIGHUP)
      try eventually("the ticket has ended") {
        try lab.connect().request("AUTH ticket \(ticket)").code == "forbidden"
      }
      expect(try client.request("OPEN dev-2"), "OK")
      let (event, reply) = (try watcher.readLine(), try waiter.readLine())
      #expect(event?.hasPrefix(#"EVENT {"id":"#) == true, "\(event ?? "nothing")")
      #expect(reply?.hasPrefix(#"OK {"events":[{"#) == true, "\(reply ?? "nothing")")
    }
  }
}
