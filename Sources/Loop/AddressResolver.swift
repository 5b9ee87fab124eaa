// Owns: the resolution of an address without holding up the loop: a look-up by the system's
// resolver runs on a thread of its own. Runs on the loop's thread.

internal import Glibc

/// Resolves one address, once.
package final class AddressResolver {
  package typealias Outcome = Result<SocketAddress, SystemError>

  private var reader: MailboxReader<Outcome>?

  /// Calls `done` on the loop's thread: at once if nothing has to be looked up, and not at all
  /// once the resolver is gone.
  package init(_ loop: EventLoop, _ address: Address, _ done: @escaping (Outcome) -> Void) {
    if AddressResolver.isNumeric(address) {
      done(Result { () throws(SystemError) in try SocketAddress.resolve(address) })
      return
    }
    do throws(SystemError) {
      let mailbox = try Mailbox<Outcome>()
      reader = MailboxReader(loop, mailbox, done)
      // The thread outlives the resolver if the name server is slow; then its letter is not read.
      try LoopThread(name: "resolve") {
        mailbox.post(Result { () throws(SystemError) in try SocketAddress.resolve(address) })
      }.detach()
    } catch {
      done(.failure(error))
    }
  }

  private static func isNumeric(_ address: Address) -> Bool {
    guard case .tcp(let host, _) = address else { return true }
    var room = in6_addr()
    return inet_pton(AF_INET, host, &room) == 1 || inet_pton(AF_INET6, host, &room) == 1
  }
}
