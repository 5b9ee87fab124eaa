// Owns: how the descriptors that webhooks may have are divided among them. A value; any thread.

internal import Webhooks

/// The hooks that are served, and what each of them has.
package struct HookShare: Equatable {
  /// So many hooks are served, the others wait.
  package let served: Int
  /// The connections of each that is served.
  package let connections: Int

  /// Divides `descriptors` among so many hooks, each of which may have `most` connections.
  package init(of descriptors: Int, hooks: Int, most: Int) {
    served = min(hooks, max(0, descriptors) / WebhookLimits.descriptors(ofConnections: 1))
    connections =
      served == 0 ? 0 : min(most, WebhookLimits.connections(within: descriptors / served))
  }
}

extension HookDelivery {
  /// Divides the descriptors anew, for there are other hooks; those that have some keep some.
  func divideDescriptors() {
    let share = HookShare(
      of: setup.descriptorsMax, hooks: works.count, most: setup.limits.connectionsMax)
    let order = works.values.sorted { one, other in
      let (isServed, isOtherServed) = (one.connectionsMax ?? 0 > 0, other.connectionsMax ?? 0 > 0)
      return isServed == isOtherServed ? one.name < other.name : isServed
    }
    for (place, work) in order.enumerated() {
      limit(work, to: place < share.served ? share.connections : 0)
    }
  }

  private func limit(_ work: HookWork, to connections: Int) {
    guard work.connectionsMax != connections else { return }
    work.connectionsMax = connections
    work.queue.underWayMax = connections
    work.sender?.limit(connections: connections)
    makeSender(work)
    guard connections == 0 else { return }
    complain(
      work, "no descriptor is left for it: allow more open files (ulimit -n, LimitNOFILE=)")
  }

  /// A hook has a sender of its own: a receiver that does not answer takes no other's connections.
  func makeSender(_ work: HookWork) {
    guard work.sender == nil, let connections = work.connectionsMax, connections > 0 else { return }
    var limits = setup.limits
    limits.connectionsMax = connections
    do throws(WebhookError) {
      work.sender = try WebhookSender(loop, limits)
    } catch {
      complain(work, error.description)
    }
  }
}
