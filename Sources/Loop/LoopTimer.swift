// Owns: one timer and one watched signal of a loop. Runs on the loop's thread.

internal import CLibevent

/// A timer that fires once each time it is set.
package final class LoopTimer {
  private let event: UnsafeMutablePointer<CLibevent.event>
  private let action: () -> Void
  /// True from `set` until it fires or is cancelled.
  package private(set) var isSet = false

  package init(_ loop: EventLoop, _ action: @escaping () -> Void) {
    self.action = action
    event = .allocate(capacity: 1)
    event.initialize(to: CLibevent.event())
    event_assign(
      event, loop.base, -1, 0,
      { _, _, context in
        guard let context else { return }
        let timer = Unmanaged<LoopTimer>.fromOpaque(context).takeUnretainedValue()
        timer.isSet = false
        timer.action()
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  deinit {
    event_del(event)
    event.deallocate()
  }

  /// Fires after so many milliseconds (0: in the next turn), replacing an earlier setting.
  package func set(afterMs: Int64) {
    let ms = max(0, afterMs)
    set(timeval(tv_sec: Int(ms / 1_000), tv_usec: Int(ms % 1_000) * 1_000))
  }

  /// The same in microseconds.
  ///
  /// Loops keep to them where EVENT_PRECISE_TIMER is in the environment when they are made; others
  /// round up to milliseconds.
  package func set(afterUs: Int64) {
    let us = max(0, afterUs)
    set(timeval(tv_sec: Int(us / 1_000_000), tv_usec: Int(us % 1_000_000)))
  }

  private func set(_ after: timeval) {
    var time = after
    event_add(event, &time)
    isSet = true
  }

  package func cancel() {
    event_del(event)
    isSet = false
  }
}

/// A Unix signal, delivered as an event of the loop and never in signal context.
package final class SignalWatch {
  private let event: UnsafeMutablePointer<CLibevent.event>
  private let action: () -> Void

  /// Watches from now on, for as long as the object lives; one loop of the process may do so.
  package init(_ loop: EventLoop, _ signal: Int32, _ action: @escaping () -> Void) {
    self.action = action
    event = .allocate(capacity: 1)
    event.initialize(to: CLibevent.event())
    event_assign(
      event, loop.base, signal, Int16(EV_SIGNAL | EV_PERSIST),
      { _, _, context in
        guard let context else { return }
        Unmanaged<SignalWatch>.fromOpaque(context).takeUnretainedValue().action()
      }, Unmanaged.passUnretained(self).toOpaque())
    event_add(event, nil)
  }

  deinit {
    event_del(event)
    event.deallocate()
  }
}
