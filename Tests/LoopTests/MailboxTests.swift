// Owns: the tests of letters from threads to a loop.

import Testing

@testable import Loop

struct MailboxTests {
  private struct Letter: Sendable {
    var thread: Int
    var number: Int
  }

  @Test func `four threads' letters all come, each thread's in its order`() throws {
    let (threads, perThread) = (4, 20_000)
    let loop = try EventLoop()
    let mailbox = try Mailbox<Letter>()
    var received = [Int](repeating: 0, count: threads)
    var outOfOrder = 0
    let reader = MailboxReader(loop, mailbox) { letter in
      if received[letter.thread] != letter.number { outOfOrder += 1 }
      received[letter.thread] += 1
      if received.allSatisfy({ $0 == perThread }) { loop.stop() }
    }
    let writers = try (0..<threads).map { thread in
      try LoopThread(name: "writer") {
        for number in 0..<perThread { mailbox.post(Letter(thread: thread, number: number)) }
      }
    }
    run(loop, keeping: reader)
    for writer in writers { writer.join() }
    #expect(received == [Int](repeating: perThread, count: threads))
    #expect(outOfOrder == 0)
  }

  @Test func `letters that were posted before the reader came are delivered`() throws {
    let loop = try EventLoop()
    let mailbox = try Mailbox<Int>()
    for number in 1...3 { mailbox.post(number) }
    var received: [Int] = []
    let reader = MailboxReader(loop, mailbox) { number in
      received.append(number)
      if number == 3 { loop.stop() }
    }
    run(loop, keeping: reader)
    #expect(received == [1, 2, 3])
  }

  @Test func `a letter that is posted while letters are delivered comes after them`() throws {
    let loop = try EventLoop()
    let mailbox = try Mailbox<Int>()
    mailbox.post(1)
    mailbox.post(2)
    var received: [Int] = []
    let reader = MailboxReader(loop, mailbox) { number in
      received.append(number)
      if number == 1 { mailbox.post(3) }
      if number == 3 { loop.stop() }
    }
    run(loop, keeping: reader)
    #expect(received == [1, 2, 3])
  }

  @Test func `letters wait until a reader comes, and a reader that is gone gets none`() throws {
    let loop = try EventLoop()
    let mailbox = try Mailbox<Int>()
    var gone: [Int] = []
    var reader: MailboxReader<Int>? = MailboxReader(loop, mailbox) { gone.append($0) }
    #expect(reader != nil)
    reader = nil
    mailbox.post(7)
    var received: [Int] = []
    reader = MailboxReader(loop, mailbox) { number in
      received.append(number)
      loop.stop()
    }
    run(loop, keeping: reader)
    #expect(received == [7])
    #expect(gone == [])
  }
}
