// Owns: one descriptor's registration with the poller. Does not own the descriptor itself.
// Runs on its loop's thread.

internal import CLibevent

/// What a descriptor is ready for, or is asked about.
package struct Readiness: OptionSet, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }
  package static let read = Readiness(rawValue: 1)
  package static let write = Readiness(rawValue: 2)

  fileprivate var flags: Int16 {
    var flags = Int16(EV_PERSIST)
    if contains(.read) { flags |= Int16(EV_READ) }
    if contains(.write) { flags |= Int16(EV_WRITE) }
    return flags
  }
}

/// Who is told when a watched descriptor is ready.
package protocol FileWatchOwner: AnyObject {
  func fileReady(_ readiness: Readiness)
}

/// Level-triggered interest in one descriptor.
package final class FileWatch {
  private let loop: EventLoop
  private let descriptor: Int32
  /// The event is this object's; it is freed with it, so libevent never calls a dead object.
  private let event: UnsafeMutablePointer<CLibevent.event>
  private unowned let owner: any FileWatchOwner

  /// What is asked for now; empty means that the poller does not know the descriptor.
  package private(set) var interest: Readiness = []

  package init(_ loop: EventLoop, _ descriptor: Int32, owner: any FileWatchOwner) {
    self.loop = loop
    self.descriptor = descriptor
    self.owner = owner
    event = .allocate(capacity: 1)
    event.initialize(to: CLibevent.event())
  }

  deinit {
    if !interest.isEmpty { event_del(event) }
    event.deallocate()
  }

  /// Changes what is asked for; asking for nothing removes the descriptor from the poller.
  package func want(_ wanted: Readiness) {
    guard wanted != interest else { return }
    if !interest.isEmpty { event_del(event) }
    interest = wanted
    guard !wanted.isEmpty else { return }
    event_assign(
      event, loop.base, descriptor, wanted.flags, FileWatch.called,
      Unmanaged.passUnretained(self).toOpaque())
    event_add(event, nil)
  }

  private static let called: event_callback_fn = { _, what, context in
    guard let context else { return }
    let watch = Unmanaged<FileWatch>.fromOpaque(context).takeUnretainedValue()
    var readiness: Readiness = []
    if what & Int16(EV_READ) != 0 { readiness.insert(.read) }
    if what & Int16(EV_WRITE) != 0 { readiness.insert(.write) }
    watch.owner.fileReady(readiness)
  }
}
