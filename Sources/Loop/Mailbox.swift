// Owns: the one way in which threads reach a loop: values put in a box, and a wake-up.

internal import CLinux
internal import Glibc
internal import Synchronization

/// Letters for a loop, from any thread; the loop takes them all at once, in order.
package final class Mailbox<Letter: Sendable>: Sendable {
  private let letters = Mutex<[Letter]>([])
  let wakeup: Int32

  package init() throws(SystemError) {
    wakeup = try systemCall("eventfd") { eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC)) }
  }

  deinit { close(wakeup) }

  /// Puts a letter in the box; wakes the loop only if the box was empty.
  ///
  /// Any thread.
  package func post(_ letter: Letter) {
    let wasEmpty = letters.withLock { box in
      box.append(letter)
      return box.count == 1
    }
    // The counter of an eventfd cannot overflow here: the loop resets it at each wake-up.
    if wasEmpty { eventfd_write(wakeup, 1) }
  }

  /// Waits until there are letters, and takes them all; for a thread without a loop.
  package func awaitLetters() -> [Letter] {
    var entry = pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0)
    while poll(&entry, 1, -1) < 0, errno == EINTR {}
    return takeAll()
  }

  fileprivate func takeAll() -> [Letter] {
    var count: eventfd_t = 0
    eventfd_read(wakeup, &count)
    return letters.withLock { box in
      defer { box = [] }
      return box
    }
  }
}

/// The loop's end of a mailbox.
package final class MailboxReader<Letter: Sendable>: FileWatchOwner {
  private let mailbox: Mailbox<Letter>
  private let receive: (Letter) -> Void
  private var watch: FileWatch?

  /// Delivers every letter to `receive` on the loop's thread, for as long as the reader lives.
  package init(_ loop: EventLoop, _ mailbox: Mailbox<Letter>, _ receive: @escaping (Letter) -> Void)
  {
    self.mailbox = mailbox
    self.receive = receive
    watch = FileWatch(loop, mailbox.wakeup, owner: self)
    watch?.want(.read)
  }

  package func fileReady(_ readiness: Readiness) {
    for letter in mailbox.takeAll() { receive(letter) }
  }
}
