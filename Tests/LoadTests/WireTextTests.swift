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
    #expect(
      reply.messages == [Message(seq: 3, number: 7, atMs: 5), Message(seq: 4, number: 0, atMs: 5)])
    #expect(reply.hasMore)
    #expect(!read(#"OK {"messages":[],"more":false}"#).hasMore)
  }

  @Test func `the replies to TURN and DONE are read`() {
    let begun = read(
      #"OK {"turn":77,"ttl_ms":1000,"session":"S1","how":"new","chat":1,"seq":4,"#
        + #""messages":[{"seq":4,"at":9,"message":{"n":2}}],"more":true,"fields":{"turn":5},"#
        + #""phase":null,"step":null,"waited_ms":0}"#)
    #expect(begun.turn == 77 && begun.session == "S1" && begun.seq == 4 && begun.joined == 0)
    #expect(begun.messages == [Message(seq: 4, number: 2, atMs: 9)])
    let joined = read(#"OK {"joined":77,"seq":5}"#)
    #expect(joined.joined == 77 && joined.seq == 5 && joined.turn == 0)
    let goesOn = read(#"OK {"seq":6,"rev":2,"turn":77,"messages":[{"seq":5,"message":{"n":3}}]}"#)
    #expect(goesOn.turn == 77 && goesOn.messages == [Message(seq: 5, number: 3)])
    #expect(read(#"OK {"seq":null,"rev":null,"joined":2}"#).joined == 2)
    let busy = read(#"BUSY {"agent":null,"ttl_ms":5,"ahead":3}"#)
    #expect(busy.word == .busy && busy.ahead == 3)
    let line = Array(
      #"EVENT {"id":"1","type":"turn.abandoned","device":"d","at":3,"turn":77,"agent":null}"#.utf8)
    let event = ReplyLine(line.span).lockEvent(line.span)
    #expect(event?.kind == .turnAbandoned && event?.token == 77 && event?.agent == -1)
  }

  @Test func `changes of chats are read`() {
    let said = Array(
      (#"EVENT {"type":"chat.said","device":"d","at":3,"session":"S","chat":1,"seq":4,"#
        + #""messages":[{"seq":4,"at":9,"message":{"n":2}}]}"#).utf8)
    #expect(
      ReplyLine(said.span).chatChange(said.span)
        == .said([Message(seq: 4, number: 2, atMs: 9)], isCut: false))
    let unsaid = Array(
      #"EVENT {"type":"chat.unsaid","device":"d","at":3,"session":"S","chat":1,"from":2,"to":5}"#
        .utf8)
    #expect(ReplyLine(unsaid.span).chatChange(unsaid.span) == .unsaid(2...5))
    #expect(ReplyLine(unsaid.span).lockEvent(unsaid.span) == nil)
  }

  @Test func `the requests of turns are written`() {
    var request = RequestText(device: "d", clocks: "idle=1ms", filler: [])
    let words = { (call: LoadCall) in String(decoding: request.line(call, 5), as: UTF8.self) }
    #expect(
      words(.turn(3, .join))
        == "TURN d policy=join ttl=10000ms last=10 idle=1ms req=c5 "
        + #"{"n":3,"by":"scheduling","text":""}"# + "\n")
    request.session = "S1"
    #expect(words(.turn(3, .enqueue, wait: 500)).hasPrefix("TURN d policy=enqueue wait=500ms ttl="))
    #expect(!String(decoding: request.line(.turn(3), 5), as: UTF8.self).contains("idle="))
    #expect(
      String(decoding: request.line(.inTurn(.done, 77, 4, seen: 9, last: true), 5), as: UTF8.self)
        == "DONE d turn=77 seen=9 last=yes req=c5 "
        + #"{"say":{"n":4,"by":"scheduling","text":""},"set":{"by":"scheduling","turn":5}}"# + "\n")
    #expect(
      String(decoding: request.line(.inTurn(.touch, 77), 5), as: UTF8.self) == "TOUCH d turn=77\n")
  }

  @Test func `records, lists and events of sessions are read`() {
    let record = read(
      #"OK {"session":"S1","device":"d","state":"active","reason":null,"active_at":77,"#
        + #""idle_at":99,"chat":2,"chats":2,"messages":7,"fields":{"session":"x"},"how":"hint"}"#)
    #expect(record.session == "S1" && record.activeAtMs == 77 && record.idleAtMs == 99)
    #expect(read(#"OK {"chat":3,"name":"c5"}"#).chat == 3)
    #expect(
      read(#"OK {"sessions":[{"session":"S1","fields":{}},{"session":"S2"}],"cursor":null}"#)
        .sessions == ["S1", "S2"])
    let line = Array(
      (#"EVENT {"id":"0a3-1-0","type":"session.paused","device":"d","at":3,"session":"S1","#
        + #""state":"paused","reason":"idle","links":{}}"#).utf8)
    let event = ReplyLine(line.span).lockEvent(line.span)
    #expect(event?.kind == .sessionPaused && event?.session == "S1" && event?.isIdle == true)
  }

  @Test func `the requests of sessions are written`() {
    let clocks = ShortClocks(idleMs: 1, abandonMs: 2, archiveMs: 3)
    var request = RequestText(device: "d", clocks: RequestText.clocks(clocks), filler: [])
    let words = { (verb: LoadVerb) in
      String(decoding: request.line(LoadCall(verb), 5), as: UTF8.self)
    }
    let options = "idle=1ms abandon=2ms archive=3ms life=0 keep=10m warn=0 req=c5\n"
    #expect(words(.recover) == "RECOVER d \(options)")
    request.session = "S1"
    request.chat = "/1"
    #expect(words(.recover) == "RECOVER d hint=S1 \(options)")
    var fill = LoadCall(.open)
    fill.isOfUser = true
    let open = String(decoding: request.line(fill, 5), as: UTF8.self)
    #expect(open == "OPEN d user=d \(options)")
    #expect(words(.pause) == "PAUSE d/S1 req=c5\n" && words(.resume) == "RESUME d/S1 req=c5\n")
    #expect(words(.chat) == "CHAT d/S1 name=c5 req=c5\n")
    #expect(words(.link) == "LINK d/S1 load d req=c5\n" && words(.list) == "LIST load=d\n")
    #expect(words(.history).hasPrefix("HISTORY d/S1/1 "))
  }

  @Test func `events are read, one or many, and those about other things are passed over`() {
    let lock =
      #"{"id":"0a3-1-0","type":"lock.abandoned","device":"load-x-7","at":12,"agent":"support","#
      + #""token":5,"held_ms":10}"#
    let session = #"{"id":"0a3-2-0","type":"session.opened","device":"load-x-7","at":13}"#
    let event = LockEvent(
      id: "0a3-1-0", kind: .abandoned, atMs: 12, agent: 2, token: 5, heldMs: 10,
      device: "load-x-7")
    let line = Array("EVENT \(lock)".utf8)
    let one = ReplyLine(line.span)
    #expect(one.lockEvent(line.span) == event)
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
