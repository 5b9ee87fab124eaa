// Owns: which hooks the delivery has at work, and what a change of a definition does to one. Runs
// on the thread of the hooks.

internal import Loop
internal import RedisConnection
internal import SessionModel
internal import Store
internal import Webhooks

// A worker learns of a change within a second, from a listing that was asked for before it perhaps.
// So Redis itself keeps events from a definition that has been replaced. HOOK writes its revision
// into the hook's group in each partition before it replies; read_hook.lua compares it with that of
// the worker in the step that reads, and gives nothing to one that has a former definition, which
// then asks for the present one. What it has read before was published before HOOK's reply. A
// worker with a later definition than the group's writes that into it, as HOOK would have.
//
// Redis may lose a definition, in a failover for instance, and keep its revision in the logs of
// other nodes. A listing that was asked for after a refusal, and has no later definition, shows
// that: only then is the group read by the former one again.

extension HookDelivery {
  /// These are all hooks.
  ///
  /// One that was overtaken is passed over: a hook that it lacks may have been made since.
  func hooksAre(_ listing: HookListing) {
    guard !HookListing.isOvertaken(atMs: listing.nowMs, by: listedAtMs) else { return }
    listedAtMs = listing.nowMs
    let names = Set(listing.hooks.map(\.name))
    for work in Array(works.values) where !names.contains(work.name) { end(work) }
    guard !isDraining else { return }
    for hook in listing.hooks {
      guard let work = works[hook.name] else {
        begin(hook)
        continue
      }
      work.isListed(nowMs: loop.nowMs)
      if work.kept.revision.made != hook.revision.made {
        // It was removed and made again: nothing of the former one is left.
        end(work)
        begin(hook)
      } else if work.kept != hook {
        replace(work, hook)
      }
    }
    divideDescriptors()
    advanceAll()
  }

  private func begin(_ kept: KeptHook) {
    let work = HookWork(
      kept, startAt: works.count * 16, nowMs: loop.nowMs)
    work.newsCame(.all)
    works[kept.name] = work
    define(work)
  }

  /// Events that wait and that the new definition does not want are done.
  private func replace(_ work: HookWork, _ kept: KeptHook) {
    work.isReplaced(by: kept)
    define(work)
    guard let hook = work.target?.hook else { return }
    work.done += work.queue.drop { event in
      !event.isLoss && !hook.wants(type: event.type, device: event.device)
    }
  }

  /// Reads the definition of a hook; one that cannot be read delivers nothing.
  private func define(_ work: HookWork) {
    work.target = nil
    makeSender(work)
    guard let hook = StoredHook.hook(work.name, work.kept.text, setup.seal) else {
      return complain(work, "its definition is corrupt, or sealed by a key that this worker lacks")
    }
    do throws(WebhookError) {
      work.target = HookTarget(
        hook: hook, address: try WebhookAddress(hook.url, setup.limits.policy))
    } catch {
      complain(work, error.description)
    }
  }

  func complain(_ work: HookWork, _ fault: String) {
    work.fault = fault
    setup.log.repeated(
      .error, "a hook cannot be delivered", cause: work.name, ["hook": work.name, "error": fault])
  }

  /// The hook was removed, and with it its group; a read that was under way may have made it again.
  private func end(_ work: HookWork) {
    for ticket in work.tickets.values { work.sender?.cancel(ticket) }
    works[work.name] = nil
    let request = DropGroupCall(group: work.group, madeMax: work.kept.revision.made)
    call(ScriptQuery(request, over: Partition.all)) { _ in }
  }

  /// A group is read by a later definition than this worker's: asks for the present ones.
  func lookAgain() {
    guard !isLookingAgain, !isDraining else { return }
    isLookingAgain = true
    let asked = works.values.filter { $0.supersededBy > 0 }
      .map { (name: $0.name, revision: $0.kept.revision, supersededBy: $0.supersededBy) }
    call(ScriptQuery(HooksCall(), at: Keyspace.figures)) { [unowned self] result in
      isLookingAgain = false
      // The partitions are read again in a moment, and this is asked again then.
      guard case .success(let reply) = result, let listing = HookListing(reply) else { return }
      hooksAre(listing)
      for one in asked {
        let listed = listing.hooks.first { $0.name == one.name }
        guard let work = works[one.name], work.kept.revision == one.revision,
          listed?.revision == one.revision
        else { continue }
        work.isLost(one.supersededBy)
      }
      advanceAll()
    }
  }
}
