// Owns: the subscriptions to the expiry notifications of all nodes: each announces its own keys.
// Main thread.

package import Loop
internal import Metrics
internal import RedisConnection
package import SessionModel
package import Store

/// The subscriptions to the nodes' notifications.
package final class NodeSubscriptions {
  private let loop: EventLoop
  private let store: ControlStore
  private let context: DeadlineContext
  private let expired: (Partition) -> Void
  private let informed: (String, String) -> Void
  private let resumed: () -> Void
  private var byNode: [String: ExpirySubscription] = [:]

  /// `expired` gets the partition of each expired lock or session of this namespace; `resumed` is
  /// called when notifications may have been missed and come again now; `informed` gets what
  /// scripts publish for this worker, and the name of the node from which it came: a cluster passes
  /// a message on to all nodes.
  package init(
    _ loop: EventLoop, _ store: ControlStore, _ context: DeadlineContext,
    expired: @escaping (Partition) -> Void, informed: @escaping (String, String) -> Void,
    resumed: @escaping () -> Void
  ) {
    (self.loop, self.store, self.context) = (loop, store, context)
    (self.expired, self.informed, self.resumed) = (expired, informed, resumed)
    nodesChanged()
  }

  package func stop() { for subscription in byNode.values { subscription.stop() } }

  /// There are other nodes.
  package func nodesChanged() {
    let nodes = store.nodes
    for name in byNode.keys where !nodes.contains(where: { $0.name == name }) {
      byNode.removeValue(forKey: name)?.stop()
    }
    for node in nodes where byNode[node.name] == nil {
      byNode[node.name] = ExpirySubscription(
        loop, store.setup(for: node), context, expired: expired,
        informed: { [unowned self] in informed($0, node.name) }, resumed: resumed,
        lived: { [unowned self] in lived() })
    }
    lived()
  }

  /// The control loop has a new connection, maybe to another server than a subscription's.
  package func serverMayHaveChanged() {
    for subscription in byNode.values { subscription.serverMayHaveChanged() }
  }

  private func lived() {
    context.figures.setNotificationsLive(!byNode.isEmpty && byNode.values.allSatisfy(\.isLive))
  }
}
