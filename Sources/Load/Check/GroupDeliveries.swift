// Owns: the deliveries of one device's events to a consumer group: none comes again once it is
// acknowledged, they come in order, and in the end all have come. A value; any thread.

/// The deliveries of a device's events.
struct GroupDeliveries: Sendable {
  private struct Delivery: Sendable {
    /// When the request was sent whose reply had it first, and when that came.
    let askedNs: Int64
    let receivedNs: Int64
    /// When its acknowledgement was answered.
    var ackedNs: Int64?
  }

  /// By the event's id.
  private var deliveries: [String: Delivery] = [:]

  func hasCome(_ id: String) -> Bool { deliveries[id] != nil }

  /// An event was delivered, by the reply to a request that was sent at `askedNs`.
  ///
  /// `isInOrder`: no consumer has lost its connection. What was on its way to it comes later.
  mutating func came(
    _ id: String, askedNs: Int64, isInOrder: Bool, nowNs: Int64
  ) -> Violation? {
    if let known = deliveries[id] {
      guard let ackedNs = known.ackedNs, ackedNs <= askedNs else { return nil }
      return Violation(
        .acknowledgedAgain, "event \(id) was acknowledged, and was delivered again", atNs: nowNs)
    }
    let order = EventOrder(id)
    // Replies to two consumers that overlap have no order.
    if isInOrder,
      let later = deliveries.first(where: {
        order < EventOrder($0.key) && $0.value.receivedNs <= askedNs
      })
    {
      return Violation(
        .groupOutOfOrder, "event \(id) was delivered after \(later.key)", atNs: nowNs)
    }
    deliveries[id] = Delivery(askedNs: askedNs, receivedNs: nowNs)
    return nil
  }

  /// Its acknowledgement was answered.
  mutating func acknowledged(_ id: String, nowNs: Int64) {
    guard deliveries[id]?.ackedNs == nil else { return }
    deliveries[id]?.ackedNs = nowNs
  }
}

extension DeviceCheck {
  /// An event was delivered to the group's consumer.
  mutating func delivered(
    _ event: LockEvent, askedNs: Int64, isInOrder: Bool, nowNs: Int64
  ) -> Violation? {
    history.add(.delivered(event.id, nowNs))
    return deliveries.came(event.id, askedNs: askedNs, isInOrder: isInOrder, nowNs: nowNs)
  }

  mutating func acknowledged(_ id: String, nowNs: Int64) {
    deliveries.acknowledged(id, nowNs: nowNs)
  }

  /// The reported events that the group has not got yet.
  var undelivered: [String] { seenEvents.keys.filter { !deliveries.hasCome($0) } }

  /// Returns an event that the group has not got, after it has had time enough.
  package func groupVerdict(nowNs: Int64) -> Violation? {
    undelivered.min { EventOrder($0) < EventOrder($1) }.map {
      Violation(.notDelivered, "event \($0) was not delivered to the group", atNs: nowNs)
    }
  }
}
