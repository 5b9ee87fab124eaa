// Owns: the tests of a states of a request that may wait: each event in each of them.

import Testing

@testable import Service

struct QueuedWaitTests {
  private static var waiting: QueuedWait {
    var wait = QueuedWait()
    #expect(wait.answered(.queued) == .nothing)
    return wait
  }

  private static var leaving: QueuedWait {
    var wait = waiting
    #expect(wait.timeIsOver() == .leave(isGone: false))
    return wait
  }

  private static var settling: QueuedWait {
    var wait = QueuedWait()
    #expect(wait.answered(.settling) == .settle)
    return wait
  }

  private static var finishing: QueuedWait {
    var wait = settling
    #expect(wait.mayBeQuiet() == .finish(isOver: false))
    return wait
  }

  @Test func `a turn that begins at once is answered`() {
    var wait = QueuedWait()
    #expect(!wait.isWaiting)
    #expect(wait.answered(.reply) == .answer)
    #expect(wait.isEnded)
  }

  @Test func `a grant is asked for, and its reply is the caller's`() {
    var wait = Self.waiting
    #expect(wait.isWaiting)
    #expect(wait.mayBeGranted() == .ask)
    #expect(wait.answered(.reply) == .answer)
    #expect(wait.isEnded)
  }

  @Test func `a grant that overtakes the reply to the ticket is not lost`() {
    var wait = QueuedWait()
    #expect(wait.mayBeGranted() == .nothing)
    #expect(wait.answered(.queued) == .ask)
    #expect(wait.answered(.queued) == .nothing)
    #expect(wait.isWaiting)
  }

  @Test func `a caller whose time is over leaves the queue`() {
    var wait = Self.leaving
    #expect(wait.mayBeGranted() == .nothing)
    #expect(wait.cutShort() == .nothing)
    #expect(wait.timeIsOver() == .nothing)
    #expect(wait.closed() == .nothing)
    #expect(wait.answered(.left) == .answer)
    #expect(wait.isEnded)
  }

  @Test func `a turn that is granted in the last moment begins all the same`() {
    var wait = Self.leaving
    #expect(wait.answered(.granted) == .ask)
    #expect(wait.answered(.reply) == .answer)
  }

  @Test func `what happens while Redis is asked is done after its answer`() {
    var wait = QueuedWait()
    #expect(wait.cutShort() == .nothing)
    #expect(wait.answered(.queued) == .leave(isGone: false))
    wait = QueuedWait()
    #expect(wait.closed() == .nothing)
    #expect(wait.answered(.queued) == .leave(isGone: true))
    #expect(wait.closed() == .nothing)
    #expect(wait.answered(.left) == .answer)
  }

  @Test func `a caller that is gone leaves what was granted to the next one`() {
    var wait = Self.waiting
    #expect(wait.closed() == .leave(isGone: true))
    #expect(wait.answered(.left) == .answer)
  }

  @Test func `a turn settles until it is quiet, and is answered`() {
    var wait = Self.finishing
    #expect(wait.answered(.settling) == .settle)
    #expect(wait.mayBeQuiet() == .finish(isOver: false))
    #expect(wait.mayBeQuiet() == .nothing)
    #expect(wait.answered(.reply) == .answer)
    #expect(wait.isEnded)
  }

  @Test func `a turn that was waited for settles, though the time to wait is over`() {
    var wait = Self.waiting
    #expect(wait.mayBeGranted() == .ask)
    #expect(wait.timeIsOver() == .nothing)
    #expect(wait.answered(.settling) == .settle)
    #expect(wait.timeIsOver() == .nothing)
    #expect(wait.mayBeGranted() == .nothing)
    #expect(wait.mayBeQuiet() == .finish(isOver: false))
  }

  @Test func `a turn settles no more when it is cut short`() {
    var wait = Self.settling
    #expect(wait.cutShort() == .finish(isOver: true))
    #expect(wait.cutShort() == .nothing)
    #expect(wait.mayBeGranted() == .nothing)
    #expect(wait.answered(.reply) == .answer)
    wait = QueuedWait()
    #expect(wait.cutShort() == .nothing)
    #expect(wait.answered(.settling) == .finish(isOver: true))
  }

  @Test func `a turn that ends while it settles is asked for at once`() {
    var wait = Self.settling
    #expect(wait.turnEnded() == .finish(isOver: false))
    #expect(wait.turnEnded() == .nothing)
    #expect(wait.answered(.reply) == .answer)
    // The message may overtake the reply to the request.
    wait = QueuedWait()
    #expect(wait.turnEnded() == .nothing)
    #expect(wait.answered(.settling) == .finish(isOver: false))
    wait = Self.finishing
    #expect(wait.turnEnded() == .nothing)
    #expect(wait.answered(.settling) == .finish(isOver: false))
    #expect(wait.answered(.reply) == .answer)
  }

  @Test func `a turn whose caller goes away while it settles is left to its end`() {
    var wait = Self.settling
    #expect(wait.closed() == .drop)
    #expect(wait.isEnded)
    wait = QueuedWait()
    #expect(wait.closed() == .nothing)
    #expect(wait.answered(.settling) == .drop)
    wait = Self.finishing
    #expect(wait.closed() == .nothing)
    #expect(wait.answered(.settling) == .drop)
  }

  @Test func `a turn whose caller has closed its side is left to its end, too`() {
    var wait = Self.settling
    #expect(wait.inputEnded() == .drop)
    wait = QueuedWait()
    #expect(wait.inputEnded() == .nothing)
    #expect(wait.answered(.settling) == .drop)
    wait = Self.waiting
    #expect(wait.inputEnded() == .leave(isGone: false))
  }

  @Test func `a call that fails ends it`() {
    for start in [QueuedWait(), Self.leaving, Self.finishing] {
      var wait = start
      #expect(wait.failed() == .answer)
      #expect(wait.isEnded)
    }
  }

  @Test(
    arguments: [
      ("ready t d-1 0.17 -", TicketMessage.Word.granted, 0, 17),
      ("replaced t d:2 3.1 r1", .replaced, 3, 1), ("passed t d 1.2 r a fresh", .passed, 1, 2),
      ("ended t d 0.2 -", .ended, 0, 2),
    ] as [(String, TicketMessage.Word, Int, UInt64)])
  func `a message names a device, a loop and a ticket`(
    text: String, word: TicketMessage.Word, loop: Int, number: UInt64
  ) throws {
    let message = try #require(TicketMessage(text))
    #expect(message.word == word && message.loop == loop && message.number == number)
    #expect(text == "\(word.rawValue) \(message.kind.rawValue) \(message.device) \(message.ticket)")
  }

  @Test(arguments: [
    "", "ready", "ready t d", "ready t d 1.2", "ready t d 1 -", "ready t d 1.2.3 -",
    "given t d 1.2 -", "ready t d a.b -", "ready x d 1.2 -", "ready t  1.2 -", "granted t d 1.2 -",
  ])
  func `other texts are no messages`(text: String) { #expect(TicketMessage(text) == nil) }
}
