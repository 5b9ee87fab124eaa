// Owns: the control loop's part in webhooks: which hooks there are, as Redis has them, and the
// thread that delivers them, which is there from the first hook on. Runs on the main thread.

internal import Deadlines
internal import Events
internal import Hooks
internal import Loop
internal import RedisConnection
internal import Service
internal import SessionModel
internal import Settings
internal import Store
internal import Webhooks

/// What the control loop knows of the hooks.
struct ControlHooks {
  /// The way to the thread that delivers them; nil before the first hook.
  var orders: Mailbox<HookOrder>?
  var check: LoopTimer?
  /// The partitions of this worker.
  var owned = PartitionSet()
  /// Whether there are any.
  var areAny = false

  /// How often they are read.
  static let everyMs: Int64 = 1_000
  /// The hooks' place among those that the tail answers: no serving loop's.
  static let tailIndex = -1
}

extension Control {
  /// Reads the hooks, and again every second.
  func followHooks() {
    if hooks.check == nil { hooks.check = LoopTimer(loop) { [unowned self] in followHooks() } }
    hooks.check?.set(afterMs: ControlHooks.everyMs)
    guard let store, store.isReady, !shared.isDraining else { return }
    store.call(ScriptQuery(HooksCall(), at: Keyspace.figures)) { [unowned self] result in
      guard case .success(let reply) = result, let listing = HookListing(reply) else { return }
      hooksAre(listing)
    }
  }

  private func hooksAre(_ listing: HookListing) {
    hooks.areAny = !listing.hooks.isEmpty
    if hooks.orders == nil, hooks.areAny, !shared.isDraining { startHooks() }
    guard let orders = hooks.orders else { return }
    orders.post(.hooks(listing))
    // The tail reports which logs have grown; it rests after a while without a request.
    guard hooks.areAny else { return }
    tail?.request(TailRequest(loop: ControlHooks.tailIndex, number: 0, watch: nil))
  }

  /// The tail has found something.
  func reportToHooks(_ report: TailReport) {
    switch report {
    case .grown(let partitions): hooks.orders?.post(.news(partitions))
    case .began: hooks.orders?.post(.news(.all))
    // They read by themselves, and now and then whatever the tail says.
    case .events, .lost, .rested: break
    }
  }

  /// The share of this worker may have changed.
  func hookShare(_ share: PartitionShare) {
    let owned = share.ownedPartitions
    guard owned != hooks.owned else { return }
    hooks.owned = owned
    hooks.orders?.post(.share(owned))
  }

  /// What is under way is finished within the time of a drain; then the thread ends.
  func drainHooks() {
    hooks.check?.cancel()
    hooks.orders?.post(.drain(graceMs: max(settings.drainGraceMs, 100)))
  }

  private func startHooks() {
    do throws(SystemError) {
      let orders = try Mailbox<HookOrder>()
      let setup = hookSetup()
      let (redis, reports, owned) = (self.setup, reports, hooks.owned)
      try LoopThread(name: "hooks") {
        HookThread.run(redis, setup, orders: orders) { reports.post(.ended) }
      }.detach()
      // It reports its end as serving threads do.
      threadsThatRun += 1
      hooks.orders = orders
      orders.post(.share(owned))
    } catch {
      log.repeated(
        .error, "the thread of the hooks cannot be started", ["error": error.description])
    }
  }

  private func hookSetup() -> HookSetup {
    let policy = AddressPolicy(
      allowsPrivate: settings.allowsPrivateHooks,
      allowsLoopback: settings.allowsLoopbackHooks)
    let fleet = shared.fleetID ?? settings.namespace
    return HookSetup(
      workerID: shared.workerID, source: CloudEvent.source(fleet: fleet),
      limits: WebhookLimits(
        policy: policy, connectionsMax: settings.hookRequestsMax,
        authorities: settings.hookAuthorities, userAgent: "latchkey/\(Version.text)"),
      timeoutMs: settings.hookTimeoutMs, descriptorsMax: budget.ofHookConnections,
      groupKeepMs: settings.groupKeepMs, seal: shared.seal, log: log, gauges: shared.hookGauges)
  }
}

/// The thread that delivers hooks.
private enum HookThread {
  /// Runs until a drain has ended; `ended` follows then.
  static func run(
    _ redis: RedisSetup, _ setup: HookSetup, orders: Mailbox<HookOrder>,
    ended: @Sendable () -> Void
  ) {
    defer { ended() }
    do throws(SystemError) {
      let loop = try EventLoop()
      let store = ControlStore(loop, redis) { event in
        guard case .refused(let reason) = event else { return }
        setup.log.repeated(.error, "hooks cannot be delivered from this redis", ["error": reason])
      }
      let delivery = HookDelivery(loop, store, setup) { loop.stop() }
      let reader = MailboxReader(loop, orders) { delivery.obey($0) }
      store.start()
      withExtendedLifetime(reader) { loop.run() }
      store.stop()
    } catch {
      setup.log.error("the thread of the hooks cannot run", ["error": error.description])
    }
  }
}
