// Owns: the tests of the harness' requests, and of its reading of replies.

import Testing

@testable import Load

struct WireTextTests {
  private func read(_ text: String) -> ReplyLine { ReplyLine(Array(text.utf8).span) }

  @Test func `a grant is read`() {
    let reply = read(
      #"OK {"agent":"billing","token":1795233092477761,"ttl_ms":1000,"acquired_at":1795233092477,"#
        + #""renewed":true}"#)
    #expect(reply.word == .ok && reply.agent == 1 && reply.isRenewed)
    #expect(reply.token == 1_795_233_092_477_761 && reply.acquiredAtMs == 1_795_233_092_477)
    #expect(read(#"OK {"agent":"a stranger","renewed":false}"#).agent == -1)
  }

  @Test(
    arguments: [
      ("OK", .ok), ("NONE", .none), (#"HELD {"agent":"x","ttl_ms":5}"#, .held),
      (#"STALE {"rev":3}"#, .stale), ("ERR unavailable Redis is away", .error(code: "unavailable")),
      ("ERR draining", .error(code: "draining")), (#"EVENT {"id":"1"}"#, .event), ("", .garbage),
      ("HTTP/1.1 400 Bad Request", .garbage), ("-ERR", .garbage), ("OKAY", .garbage),
    ] as [(String, ReplyLine.Word)])
  func `the first word is the kind of a reply`(text: String, word: ReplyLine.Word) {
    #expect(read(text).word == word)
  }

  @Test func `messages are read with their numbers`() {
    let reply = read(
      #"OK {"messages":[{"seq":3,"at":5,"message":{"n":7,"by":"a","text":"{\"seq\":9}"}},"#
        + #"{"seq":4,"at":5,"message":{"hello":"n"}}],"more":true}"#)
    #expect(reply.messages == [Message(seq: 3, number: 7), Message(seq: 4, number: 0)])
    #expect(reply.hasMore)
    #expect(!read(#"OK {"messages":[],"more":false}"#).hasMore)
  }

  @Test func `events are read, one or many, and those about sessions are passed over`() {
    let lock =
      #"{"id":"0a3-1-0","type":"lock.abandoned","device":"load-x-7","at":12,"agent":"support","#
      + #""token":5,"held_ms":10}"#
    let session = #"{"id":"0a3-2-0","type":"session.paused","device":"load-x-7","at":13}"#
    let event = LockEvent(
      id: "0a3-1-0", kind: .abandoned, atMs: 12, agent: 2, token: 5, heldMs: 10)
    let line = Array("EVENT \(lock)".utf8)
    let one = ReplyLine(line.span)
    #expect(one.lockEvent(line.span) == event)
    #expect(one.device.map { ReplyLine.text(line.span, $0) } == "load-x-7")
    #expect(read(#"OK {"events":[\#(lock),\#(session)]}"#).events == [event])
  }

  @Test func `a request is the same each time it is written, and of the size that was asked`() {
    var request = RequestText(
      device: "load-x-1", clocks: RequestText.clocks(pauseMs: 0),
      filler: RequestText.filler(messageBytes: 200))
    request.session = "S1"
    let say = request.line(.say(12, 1, 77), 31)
    #expect(say == request.line(.say(12, 1, 77), 31))
    let text = String(decoding: say, as: UTF8.self)
    #expect(text.hasPrefix(#"SAY load-x-1/S1 token=77 req=c31 {"n":12,"by":"billing","text":""#))
    #expect((190...215).contains(text.split(separator: " ", maxSplits: 4)[4].count))
    let words = { (call: LoadCall) in String(decoding: request.line(call, 5), as: UTF8.self) }
    #expect(words(.lock(0)) == "LOCK load-x-1 scheduling ttl=10000ms\n")
    #expect(words(.history(last: 10)) == "HISTORY load-x-1/S1 last=10\n")
    #expect(
      words(.handoff(0, to: 2, 9))
        == "HANDOFF load-x-1 scheduling support token=9 ttl=10000ms req=c5 {\"turn\":5}\n")
  }

  @Test func `a rejected secret is reported with its remedy`() {
    #expect(String(decoding: AuthText.line("app.5cc4"), as: UTF8.self) == "AUTH app.5cc4\n")
    #expect(AuthText.refusal("ERR auth_required say AUTH first").contains("--secret-file"))
    #expect(AuthText.refusal("ERR forbidden no").contains("does not accept the secret"))
    #expect(AuthText.refusal("ERR bad_request none").contains("refuses AUTH"))
  }
}
