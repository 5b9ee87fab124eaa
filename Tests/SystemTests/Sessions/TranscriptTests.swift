// Owns: the tests of messages that are appended on conditions, removed, replaced and found: nothing
// is lost without a word.

import Foundation
import Testing
import struct TestSupport.Seeded

extension SystemSuites {
  @Suite(.lab(workers: [["--max-messages", "10"]])) struct Transcripts {
    private func opened(_ said: Int = 0) throws -> (LineClient, String) {
      let client = try Lab.current.connect()
      let device = Lab.device()
      expect(try client.request("OPEN \(device)"), "OK")
      for n in 0..<said { expect(try client.request("SAY \(device) {\"n\":\(n + 1)}"), "OK") }
      return (client, device)
    }

    private func seqs(_ reply: Reply) throws -> [Int] {
      guard case .array(let messages)? = try reply.json()["messages"] else {
        throw Failure("no messages: \(reply)")
      }
      return messages.compactMap { $0["seq"]?.int }
    }

    // MARK: SAY

    @Test func `of those who append to the same end one succeeds, and the others see it`() throws {
      let (client, device) = try opened(2)
      let lab = try Lab.current
      let replies = try inParallel(4) { index in
        try lab.connect().request("SAY \(device) seq=2 {\"by\":\(index)}")
      }
      #expect(replies.count { $0.isOK } == 1)
      for reply in replies where !reply.isOK { #expect(reply.raw == "STALE {\"seq\":3}") }
      #expect(try seqs(client.request("HISTORY \(device)")) == [1, 2, 3])
      #expect(try client.request("SAY \(device) seq=99 {}").raw == "STALE {\"seq\":3}")
    }

    @Test func `the newest message counts, not the newest number that was given`() throws {
      let (client, device) = try opened(3)
      expect(try client.request("POP \(device)"), "OK")
      #expect(try client.request("SAY \(device) seq=3 {}").raw == "STALE {\"seq\":2}")
      #expect(try client.request("SAY \(device) seq=2 {}").raw == "OK {\"seq\":4,\"chat\":1}")
      expect(try client.request("FORGET \(device)"), "OK")
      #expect(try client.request("SAY \(device) seq=4 {}").raw == "STALE {\"seq\":0}")
      #expect(try client.request("SAY \(device) seq=0 {}").raw == "OK {\"seq\":5,\"chat\":1}")
    }

    @Test func `a message that is known by its member is appended once`() throws {
      let (client, device) = try opened()
      let say = "SAY \(device) id=uuid "
      #expect(
        try client.request(say + "[{\"uuid\":\"a\"},{\"uuid\":\"b\"},{\"uuid\":\"a\"}]").raw
          == "OK {\"seq\":2,\"chat\":1,\"known\":1}")
      #expect(
        try client.request(say + "[{\"uuid\":\"b\"},{\"n\":1},{\"uuid\":null}]").raw
          == "OK {\"seq\":4,\"chat\":1,\"known\":1}")
      #expect(
        try client.request(say + "{\"uuid\":\"a\"}").raw == "OK {\"seq\":4,\"chat\":1,\"known\":1}")
      // A number and a text are two values, and so are two spellings of a number.
      for value in ["1", "\"1\"", "1.0"] {
        #expect(try client.request(say + "{\"uuid\":\(value)}").raw.contains("known") == false)
        #expect(try client.request(say + "{\"x\":{},\"uuid\":\(value)}").int("known") == 1)
      }
      expectBadRequest(try client.request("SAY \(device) id=n {\"n\":1}"), naming: "id=")
    }

    @Test func `the index of a chat knows what was said before it and without it`() throws {
      let (client, device) = try opened()
      let long = String(repeating: "k", count: 2_000)
      expect(try client.request("SAY \(device) {\"\\u0075\":\"\(long)\",\"v\":[\"{\"]}"), "OK")
      #expect(try client.request("SAY \(device) id=u {\"u\":\"\(long)\"}").int("known") == 1)
      expect(try client.request("SAY \(device) {\"u\":2}"), "OK")
      #expect(try client.request("SAY \(device) id=u {\"u\":2}").int("known") == 1)
      // A removed message is not known any more; of two with one value the other one is.
      expect(try client.request("POP \(device)"), "OK")
      #expect(try client.request("SAY \(device) id=u {\"u\":2}").int("seq") == 3)
      expect(try client.request("SAY \(device) [{\"u\":2},{\"u\":3}]"), "OK")
      expect(try client.request("POP \(device) count=2"), "OK")
      #expect(try client.request("SAY \(device) id=u {\"u\":2}").int("known") == 1)
      expect(try client.request("AMEND \(device) seq=3 {\"u\":4}"), "OK")
      #expect(try client.request("SAY \(device) id=u [{\"u\":4},{\"u\":2}]").int("known") == 1)
    }

    @Test func `an index is gone with its session`() throws {
      let (client, device) = try opened()
      expect(try client.request("SAY \(device) id=u {\"u\":1}"), "OK")
      let redis = try RedisClient(path: Lab.current.redis.path)
      func keys() throws -> Int {
        guard case .array(let keys) = try redis.command("KEYS", "*\(device)*/ids") else {
          return -1
        }
        return keys.count
      }
      #expect(try keys() == 1)
      expect(try client.request("DELETE \(device)"), "OK")
      #expect(try keys() == 0)
    }

    @Test func `what is newer goes in the same step, if the end is still the one that was seen`()
      throws
    {
      let (client, device) = try opened(4)
      let say = "SAY \(device) after=2"
      #expect(try client.request(say + " last=3 {\"m\":1}").raw == "STALE {\"seq\":4}")
      #expect(try client.request(say + " last=4 {\"m\":1}").raw == "OK {\"seq\":5,\"chat\":1}")
      #expect(try seqs(client.request("HISTORY \(device)")) == [1, 2, 5])
      #expect(try client.request("SAY \(device) after=6 {}").raw == "STALE {\"seq\":5}")
      #expect(try client.request("SAY \(device) after=0 [{},{}]").int("seq") == 7)
      #expect(try seqs(client.request("HISTORY \(device)")) == [6, 7])
      #expect(try client.request("SAY \(device) after=6 []").raw == "OK {\"seq\":6,\"chat\":1}")
      expectBadRequest(try client.request("SAY \(device) last=6 {}"), naming: "last=")
    }

    @Test func `no messages are nothing to say`() throws {
      let (client, device) = try opened(1)
      let before = try client.request("GET \(device)").raw
      #expect(try client.request("SAY \(device) []").raw == "OK {\"seq\":1,\"chat\":1}")
      #expect(try client.request("SAY \(device) seq=4 []").raw == "STALE {\"seq\":1}")
      #expect(try client.request("GET \(device)").raw == before)
      expect(try client.request("SAY \(device)/current/7 []"), "NONE")
      expect(try client.request("DELETE \(device)/current/1"), "OK")
      #expect(try client.request("SAY \(device) []").raw == "OK {\"seq\":0,\"chat\":null}")
      #expect(try client.request("GET \(device)").int("chats") == 0)
    }

    @Test func `a full chat says how many messages it has dropped`() throws {
      let (client, device) = try opened(10)
      #expect(
        try client.request("SAY \(device) [{},{}]").raw
          == "OK {\"seq\":12,\"chat\":1,\"trimmed\":2}")
      let many = "[\(Array(repeating: "{}", count: 25).joined(separator: ","))]"
      #expect(try client.request("SAY \(device) \(many)").int("trimmed") == 25)
      let turn = try client.request("TURN \(device) {\"m\":1}")
      #expect(try turn.int("trimmed") == 1)
      let joined = try client.request("TURN \(device) policy=join {\"m\":2}")
      #expect(try joined.int("trimmed") == 1)
      let done = "DONE \(device) turn=\(try turn.int("turn")) req=d {\"say\":[{},{}]}"
      let goesOn = try client.request(done)
      #expect(try goesOn.int("trimmed") == 2 && seqs(goesOn) == [39])
      #expect(try client.request(done).raw == goesOn.raw)
      #expect(
        try client.request("DONE \(device) turn=\(try turn.int("turn")) {\"say\":{}}")
          .int("trimmed") == 1)
    }

    @Test func `of more messages than a chat keeps the newest stay, with their ids`() throws {
      let (client, device) = try opened(2)
      let many = (0..<25).map { "{\"k\":\($0)}" }.joined(separator: ",")
      #expect(
        try client.request("SAY \(device) id=k [\(many)]").raw
          == "OK {\"seq\":27,\"chat\":1,\"trimmed\":17}")
      let all = try client.request("HISTORY \(device) after=17")
      #expect(try seqs(all) == Array(18...27) && !all.raw.contains("lost"), "\(all)")
      #expect(all.raw.contains("{\"k\":24}}],\"more\":false"), "\(all)")
      #expect(try client.request("HISTORY \(device) after=16").shows("lost", as: "true"))
      #expect(
        try client.request("SAY \(device) id=k [{\"k\":14},{\"k\":15}]").raw
          == "OK {\"seq\":28,\"chat\":1,\"known\":1,\"trimmed\":1}")
      let turn = try client.request("TURN \(device) last=3 [\(many)]")
      #expect(try turn.int("trimmed") == 25 && seqs(turn) == [51, 52, 53], "\(turn)")
    }

    @Test func `a reader has lost what the full chat dropped, not what was forgotten`() throws {
      let (client, device) = try opened(10)
      expect(try client.request("FORGET \(device) seq=3"), "OK")
      #expect(try client.request("SAY \(device) [{},{},{}]").int("trimmed") == 2)
      let all = try client.request("HISTORY \(device) after=1")
      #expect(all.shows("lost", as: "true") && all.shows("first_seq", as: "4"), "\(all)")
      #expect(try !client.request("HISTORY \(device) after=2").raw.contains("lost"))
    }

    // MARK: POP, FORGET, AMEND

    @Test func `several messages are popped in one step, oldest first`() throws {
      let (client, device) = try opened(5)
      #expect(try client.request("POP \(device) last=4").raw == "STALE {\"seq\":5}")
      let popped = try client.request("POP \(device) count=3 last=5 req=p")
      #expect(try seqs(popped) == [3, 4, 5])
      #expect(try client.request("POP \(device) count=3 last=5 req=p").raw == popped.raw)
      #expect(try seqs(client.request("POP \(device) count=9")) == [1, 2])
      expect(try client.request("POP \(device) count=1"), "NONE")
      expect(try client.request("POP \(device) last=5"), "NONE")
    }

    @Test func `messages after a number go, or a single one`() throws {
      let (client, device) = try opened(6)
      #expect(try client.request("FORGET \(device) seq=2").raw == "OK {\"removed\":1}")
      #expect(try client.request("FORGET \(device) seq=2").raw == "OK {\"removed\":0}")
      #expect(try client.request("FORGET \(device) after=4").raw == "OK {\"removed\":2}")
      #expect(try seqs(client.request("HISTORY \(device)")) == [1, 3, 4])
      #expect(try client.request("FORGET \(device) after=7").raw == "STALE {\"seq\":4}")
      expectBadRequest(try client.request("FORGET \(device) after=1 seq=1"), naming: "after=")
      #expect(try client.request("FORGET \(device) after=0").raw == "OK {\"removed\":3}")
    }

    @Test func `a message is replaced in its place, with its number and time`() throws {
      let (client, device) = try opened(3)
      let before = try client.request("HISTORY \(device)").raw
      #expect(try client.request("AMEND \(device) seq=2 {\"n\": [ ]}").raw == "OK")
      #expect(
        try client.request("HISTORY \(device)").raw
          == before.replacing("{\"n\":2}", with: "{\"n\": [ ]}"))
      expect(try client.request("AMEND \(device) seq=4 {}"), "NONE")
      expect(try client.request("POP \(device)"), "OK")
      expect(try client.request("AMEND \(device) seq=3 {}"), "NONE")
      for rest in ["seq=1 [{}]", "{}", "seq=1"] {
        expectBadRequest(try client.request("AMEND \(device) \(rest)"))
      }
    }

    // MARK: HISTORY

    @Test func `a chat is read backwards, from a time on and by role`() throws {
      let (client, device) = try opened()
      for n in 1...9 {
        let role = n % 3 == 0 ? "user" : "us\\u0065rs"
        expect(try client.request("SAY \(device) {\"role\":\"\(role)\",\"n\":\(n)}"), "OK")
      }
      let history = "HISTORY \(device) "
      let page = try client.request(history + "before=6 limit=3")
      #expect(try seqs(page) == [3, 4, 5] && page.raw.contains("\"more\":true"))
      #expect(try page.int("first_seq") == 1 && page.int("last_seq") == 9)
      let first = try client.request(history + "before=3")
      #expect(try seqs(first) == [1, 2] && first.raw.contains("\"more\":false"))
      #expect(try client.request(history + "before=10").raw == "STALE {\"seq\":9}")
      #expect(try seqs(client.request(history + "role=user")) == [3, 6, 9])
      #expect(try seqs(client.request(history + "role=users last=2")) == [7, 8])
      #expect(try seqs(client.request(history + "role=user after=3 limit=1")) == [6])
      #expect(try seqs(client.request(history + "role=user before=9 limit=1")) == [6])
      guard case .array(let all)? = try client.request(history + "last=9").json()["messages"] else {
        throw Failure("no messages")
      }
      let times = all.compactMap { $0["at"]?.int }
      for at in Set(times) {
        let wanted = (1...9).filter { times[$0 - 1] >= at }
        #expect(try seqs(client.request(history + "since=\(at)")) == wanted)
      }
      #expect(try seqs(client.request(history + "since=\(times[8] + 1)")) == [])
      for rest in ["after=1 before=3", "last=1 since=1", "before=2 last=1"] {
        expectBadRequest(try client.request(history + rest), naming: "exclude")
      }
    }

    @Test func `a reader from a time on learns of messages that were dropped`() throws {
      let (client, device) = try opened(9)
      #expect(try !client.request("HISTORY \(device) since=0").raw.contains("lost"))
      for _ in 0..<3 { expect(try client.request("SAY \(device) {}"), "OK") }
      #expect(try client.request("HISTORY \(device) since=0").raw.contains("\"lost\":true"))
      #expect(try client.request("HISTORY \(device) after=1").raw.contains("\"lost\":true"))
      #expect(try !client.request("HISTORY \(device) after=2").raw.contains("lost"))
    }

    @Test func `a search that has read much says where it ended`() throws {
      let client = try Lab.current.connect()
      let device = Lab.device()
      let lab = try Lab(workers: [["--max-messages", "200"]])
      defer { lab.stop() }
      let other = try lab.connect()
      expect(try other.request("OPEN \(device)"), "OK")
      let text = String(repeating: "x", count: 250_000)
      expect(try other.request("SAY \(device) {\"role\":\"user\"}"), "OK")
      for _ in 0..<4 { expect(try other.request("SAY \(device) {\"x\":\"\(text)\"}"), "OK") }
      expect(try other.request("SAY \(device) {\"role\":\"user\"}"), "OK")
      var (found, next) = ([Int](), " after=0")
      for _ in 0..<5 {
        let page = try other.request("HISTORY \(device) role=user\(next)", within: .seconds(20))
        found += try seqs(page)
        guard let end = try page.json()["read_to"]?.int else { break }
        #expect(page.raw.contains("\"more\":true"))
        next = " after=\(end)"
      }
      #expect(found == [1, 6])
      var (end, pages) = (6, 0)
      while true {
        let page = try other.request("HISTORY \(device) role=agent before=\(end)")
        #expect(try seqs(page) == [])
        pages += 1
        guard let next = try page.json()["read_to"]?.int else {
          #expect(page.raw.contains("\"more\":false"))
          break
        }
        #expect(next > 1 && next < end && page.raw.contains("\"more\":true"))
        guard next < end else { break }
        end = next
      }
      #expect(pages > 1)
      expect(try client.request("PING"), "OK")
    }

    @Test func `a record is shown with some of its fields, and with the newest messages`() throws {
      let (client, device) = try opened()
      expect(try client.request("SET \(device) {\"a\":1.0,\"b c\":[ ],\"d\":{}}"), "OK")
      expect(try client.request("SAY \(device) [{\"n\": 1},{\"n\":2},{\"n\":[[1]]}]"), "OK")
      let whole = try client.request("GET \(device)").raw
      let none = try client.request("GET \(device) fields=none").raw
      #expect(none == whole.replacing(/"fields":\{.*\}\}$/, with: "\"fields\":{}}"))
      let some = try client.request("GET \(device) fields=\"b c,x,a\"").raw
      #expect(some.hasSuffix("\"fields\":{\"a\":1.0,\"b c\":[ ]}}"), "\(some)")
      let recent = try client.request("GET \(device) last=2 fields=a")
      #expect(recent.raw.contains(",\"recent\":[{\"seq\":2,\"at\":"), "\(recent)")
      #expect(recent.raw.hasSuffix("\"message\":{\"n\":[[1]]}}]}"), "\(recent)")
      #expect(try client.request("GET \(device) last=0").raw.hasSuffix(",\"recent\":[]}"))
      expect(try client.request("DELETE \(device)/current/1"), "OK")
      #expect(try client.request("GET \(device) last=2").raw.hasSuffix(",\"recent\":[]}"))
      expectBadRequest(try client.request("GET \(device)/current/1 last=1"), naming: "last")
    }

    @Test func `sessions of several states are listed together`() throws {
      let (client, device) = try opened()
      for line in ["OPEN", "PAUSE", "OPEN", "CLOSE", "OPEN"] {
        expect(try client.request("\(line) \(device)"), "OK")
      }
      func states(_ rest: String) throws -> [String] {
        guard
          case .array(let found)? = try client.request("LIST \(device) \(rest)").json()["sessions"]
        else { return [] }
        return found.compactMap { $0["state"]?.string }
      }
      #expect(try states("state=paused,completed") == ["completed", "paused"])
      #expect(try states("state=active,completed") == ["active", "completed", "active"])
      #expect(try states("state=archived,failed") == [])
      for bad in ["active,", ",active", "active,asleep", "active,,paused"] {
        expectBadRequest(try client.request("LIST \(device) state=\(bad)"), naming: "state")
      }
    }

    // MARK: All together

    @Test func `what was acknowledged is read, or its loss was said`() throws {
      var random = Seeded("acknowledged messages")
      let (client, device) = try opened()
      var acknowledged: [(seq: Int, n: Int)] = []
      var next = 0
      // Where a reader is that comes now and then, and what the full chat has dropped.
      var (seen, dropped) = (0, 0)
      for _ in 0..<300 {
        switch Int.random(in: 0..<13, using: &random) {
        case 2:
          let page = try client.request("HISTORY \(device) after=\(seen)")
          #expect(try seqs(page) == acknowledged.map(\.seq).filter { $0 > seen })
          // It learns of everything that was dropped since, and of nothing else.
          #expect(page.raw.contains("\"lost\":true") == (seen < dropped), "\(seen): \(page)")
          seen = max(seen, acknowledged.last?.seq ?? 0)
        case 3:
          guard let one = acknowledged.randomElement(using: &random) else { continue }
          #expect(try client.request("FORGET \(device) seq=\(one.seq)").int("removed") == 1)
          acknowledged.removeAll { $0.seq == one.seq }
        case 4:
          let wrong = (acknowledged.last?.seq ?? 0) + 1
          expect(try client.request("SAY \(device) seq=\(wrong) {}"), "STALE")
        case 0:
          let count = Int.random(in: 1...3, using: &random)
          let popped = try client.request("POP \(device) count=\(count)")
          guard popped.isOK else { continue }
          #expect(try seqs(popped) == acknowledged.suffix(count).map(\.seq))
          acknowledged.removeLast(min(count, acknowledged.count))
        case 1:
          let exported = try client.request("EXPORT \(device)").raw.dropFirst(3)
          expect(try client.request("IMPORT replace=yes \(exported)"), "OK")
        default:
          let count = Int.random(in: 1...4, using: &random)
          let texts = (0..<count).map { "{\"n\":\(next + $0)}" }.joined(separator: ",")
          let reply = try client.request("SAY \(device) [\(texts)]")
          let last = try reply.int("seq")
          acknowledged += (0..<count).map { (last - count + 1 + $0, next + $0) }
          next += count
          let trimmed = acknowledged.prefix(try reply.json()["trimmed"]?.int ?? 0)
          dropped = trimmed.last?.seq ?? dropped
          acknowledged.removeFirst(trimmed.count)
        }
        let history = try client.request("HISTORY \(device) last=1000")
        guard case .array(let shown)? = try history.json()["messages"] else {
          throw Failure("no messages: \(history)")
        }
        #expect(shown.compactMap { $0["seq"]?.int } == acknowledged.map(\.seq))
        #expect(shown.compactMap { $0["message"]?["n"]?.int } == acknowledged.map(\.n))
      }
    }
  }
}
