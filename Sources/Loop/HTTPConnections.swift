// Owns: which connections an HTTP server has, and for how long each may take. Runs on its loop's
// thread.
//
// libevent ends a connection that is silent, and neither one that sends a byte a second nor the
// oldest of too many; and it does not say when it has closed one. So each is known here by its
// descriptor and its cookie, a number that the kernel gives to one socket only: a descriptor that
// is another socket's by now is not touched.

internal import Glibc

/// The connections of one server, and until when each has time.
struct HTTPConnections {
  private struct Entry {
    let socket: Socket
    let cookie: UInt64
    var untilMs: Int64
    /// Whether it has sent a request that was complete.
    var hasAsked = false
    /// Whether it was ended already: it is closed when libevent notices.
    var isEnded = false

    /// Whether the descriptor is this connection's still.
    var isOpen: Bool { HTTPConnections.cookie(of: socket) == cookie }
  }

  /// How many there may be.
  let most: Int
  /// How long a connection may take until its first request is complete, and from each request to
  /// the next one, its answer included.
  let timeoutMs: Int64
  private var entries: [Entry] = []

  init(most: Int, timeoutMs: Int64) {
    self.most = most
    self.timeoutMs = timeoutMs
  }

  /// Whether no further one may come now.
  var isFull: Bool { entries.count >= most }
  /// When the first of them has had its time; nil if there is none.
  var nextMs: Int64? { entries.lazy.filter { !$0.isEnded }.map(\.untilMs).min() }

  /// A connection has come.
  ///
  /// If there are as many now as there may be, another one is ended: a probe takes a moment, and
  /// must not wait for those who dawdle. That is the one with the least time left, and first among
  /// those that have not sent a whole request yet, so that they cannot end the others. Returns
  /// whether one was.
  mutating func add(_ socket: Socket, nowMs: Int64) -> Bool {
    forgetClosed()
    guard let cookie = HTTPConnections.cookie(of: socket) else { return false }
    entries.append(Entry(socket: socket, cookie: cookie, untilMs: nowMs + timeoutMs))
    guard isFull else { return false }
    let others = entries.indices.dropLast().filter { !entries[$0].isEnded }
    let silent = others.filter { !entries[$0].hasAsked }
    let first = (silent.isEmpty ? others : silent).min {
      entries[$0].untilMs < entries[$1].untilMs
    }
    guard let first else { return false }
    end(first)
    return true
  }

  private mutating func end(_ at: Int) {
    entries[at].isEnded = true
    entries[at].socket.finishBoth()
  }

  /// A request is complete: its connection has as long again.
  mutating func renew(_ descriptor: Int32, nowMs: Int64) {
    guard let at = entries.firstIndex(where: { $0.socket.descriptor == descriptor && $0.isOpen })
    else { return }
    entries[at].untilMs = nowMs + timeoutMs
    entries[at].hasAsked = true
  }

  /// Ends those that have had their time; returns how many.
  mutating func endOverdue(nowMs: Int64) -> Int {
    forgetClosed()
    let overdue = entries.indices.filter { entries[$0].untilMs <= nowMs && !entries[$0].isEnded }
    for at in overdue { end(at) }
    return overdue.count
  }

  /// Forgets those that libevent has closed.
  mutating func forgetClosed() { entries.removeAll { !$0.isOpen } }

  private static func cookie(of socket: Socket) -> UInt64? {
    var cookie: UInt64 = 0
    var size = socklen_t(MemoryLayout<UInt64>.size)
    let result = getsockopt(socket.descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size)
    return result == 0 ? cookie : nil
  }
}

extension Socket {
  /// Ends both sides: its owner sees the end at its next read.
  fileprivate func finishBoth() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}
