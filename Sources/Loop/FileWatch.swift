// Owns: one descriptor's registration with the poller. Does not own the descriptor itself.
// Runs on its loop's thread.

internal import CLibevent

/// The operations for which a descriptor is ready, or is watched.
///
/// A set of its own kind: an OptionSet's literals and insertions are generic code that is not
/// specialized in other modules, and took 760 instructions for each reply.
package struct Readiness: Equatable, Sendable {
  package var canRead = false
  package var canWrite = false

  package init(read: Bool, write: Bool) {
    canRead = read
    canWrite = write
  }

  package static let none = Readiness(read: false, write: false)
  package static let read = Readiness(read: true, write: false)
  package static let write = Readiness(read: false, write: true)
  package static let both = Readiness(read: true, write: true)

  package var isEmpty: Bool { !canRead && !canWrite }

  /// The union of both.
  package func or(_ other: Readiness) -> Readiness {
    Readiness(read: canRead || other.canRead, write: canWrite || other.canWrite)
  }

  fileprivate var flags: Int16 {
    Int16(EV_PERSIST) | (canRead ? Int16(EV_READ) : 0) | (canWrite ? Int16(EV_WRITE) : 0)
  }
}

/// The owner of a watched descriptor, called when that is ready.
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

  /// The present interest; empty means that the poller does not know the descriptor.
  package private(set) var interest = Readiness.none

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

  /// Changes the interest; an empty one removes the descriptor from the poller.
  ///
  /// That has to be done before the descriptor is closed: within its own callback a watch lives on,
  /// and the next descriptor of that number would not be watched.
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
    watch.owner.fileReady(
      Readiness(read: what & Int16(EV_READ) != 0, write: what & Int16(EV_WRITE) != 0))
  }
}
