// Owns: a connection's reaction when the sentinels name another master. On its loop's thread.

internal import Loop

extension RedisConnection {
  /// Has each new master reported to this connection, where there are sentinels.
  func followMaster() throws(SystemError) {
    guard masterNotices == nil, let master = setup.master else { return }
    let mailbox = try Mailbox<Address>()
    let reader = MailboxReader(loop, mailbox) { [unowned self] in masterChanged(to: $0) }
    masterNotices = (mailbox, reader)
    master.follow(mailbox)
  }

  /// Leaves the deposed master at once, and goes to the new one without waiting for the next try.
  ///
  /// The outcome of what is under way is not known then: the deposed master may have done it, and
  /// will lose it: no change gets an OK of which it is known that it does not last.
  private func masterChanged(to address: Address) {
    guard !machine.isClosed, address != server || machine.isBackingOff else { return }
    if !machine.isBackingOff {
      setup.figures.addWrongServer()
      lost("the sentinels name another master")
    }
    // The connections of many workers come within a moment, and not all at once.
    if machine.isBackingOff { retryTimer?.set(afterMs: Int64.random(in: 0...20)) }
  }
}
