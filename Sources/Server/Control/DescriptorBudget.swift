// Owns: how the descriptors that the process may have are divided among callers, the admin port
// and the worker's own needs. A value; the main thread, at the start.

internal import Glibc
internal import Hooks
internal import Metrics
internal import Settings
internal import Webhooks

/// The division of the process' descriptors.
struct DescriptorBudget: Equatable {
  /// The descriptors for connections of callers, refused ones included.
  let callers: Int
  /// Connections to the admin port.
  let admin: Int
  /// Webhooks: their thread, and connections to receivers.
  let hooks: Int
  /// The most connections that are served.
  let connectionsMax: Int
  /// What the limit has to be for all that was asked for.
  let wantedLimit: Int

  /// What an operator can do.
  static let fix = "allow more open files (ulimit -n, LimitNOFILE=) or lower --max-connections"

  /// The descriptors of a serving thread: poller, mailbox, Redis, a resolver's mailbox, and that of
  /// its line reader.
  private static let perThread = 6
  /// Those of the control loop: four connections to Redis and their resolvers, and files that are
  /// open for a moment.
  private static let control = 16
  /// Refused callers for whom there is room beside those who are served, for each thread.
  private static let refusedPerThread = 32

  /// Divides `limit` descriptors, of which `openNow` are in use at the start.
  ///
  /// The admin port and webhooks get an eighth of a small limit each at most, and webhooks no more
  /// than callers. These get what is left; nil if there is nothing.
  init?(limit: Int, openNow: Int, threads: Int, settings: Settings) {
    admin = max(4, min(settings.adminConnectionsMax, limit / 8))
    let own =
      openNow + threads * DescriptorBudget.perThread + DescriptorBudget.control
      + DescriptorBudget.ofSentinels(settings.sentinels, threads: threads)
    let refused = threads * DescriptorBudget.refusedPerThread
    let ofHooks = DescriptorBudget.wantedByHooks(settings)
    wantedLimit = own + settings.adminConnectionsMax + ofHooks + settings.connectionsMax + refused
    let left = limit - own - admin
    hooks = max(0, min(ofHooks, limit / 8, left / 2))
    callers = left - hooks
    guard callers > 0 else { return nil }
    connectionsMax = min(settings.connectionsMax, max(1, callers - min(refused, callers / 8)))
  }

  /// Those of webhooks' connections to receivers.
  var ofHookConnections: Int { max(0, hooks - DescriptorBudget.perThread) }

  /// A thread, and for each hook that there may be what its connections take.
  private static func wantedByHooks(_ settings: Settings) -> Int {
    perThread
      + Int(HookDefinition.hooksMax)
      * WebhookLimits.descriptors(ofConnections: settings.hookRequestsMax)
  }

  /// Two connections and their resolvers for each sentinel, and a mailbox of new masters for each
  /// connection to Redis.
  private static func ofSentinels(_ count: Int, threads: Int) -> Int {
    count == 0 ? 0 : 4 * count + threads + 5
  }

  /// How many are in use at the start, where the kernel does not say.
  static let openAtStart = 32

  /// Lets the process have as many descriptors as the system allows it; returns how many that is.
  static func raiseLimit() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return 1_024 }
    limit.rlim_cur = limit.rlim_max
    setrlimit(resource, &limit)
    return ProcessFigures.descriptorsMax()
  }
}
