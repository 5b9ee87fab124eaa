// Owns: the life of a serving thread.

internal import Loop
internal import RedisConnection
internal import Service

enum ServingThread {
  /// Runs a serving loop on the calling thread until it is stopped.
  static func run(
    index: Int, listeners: [CallerSocket], shared: SharedState, setup: RedisSetup,
    orders: Mailbox<ServingOrder>, reports: Mailbox<Control.Report>
  ) {
    defer { reports.post(.ended) }
    do throws(SystemError) {
      let loop = try EventLoop()
      let lineReader = try LineReader(shared.settings, shared.seal) { orders.post(.lineRead($0)) }
      let reading = try lineReader.start(index: index)
      defer {
        lineReader.stop()
        reading.join()
      }
      let server = ServingLoop(loop, shared, index: index, setup: setup, lineReader) {
        reports.post(.serves)
      }
      let reader = MailboxReader(loop, orders) { server.obey($0) }
      server.start(listeners)
      withExtendedLifetime(reader) { loop.run() }
    } catch {
      shared.log.error("a serving thread cannot run", ["error": error.description])
    }
  }
}
