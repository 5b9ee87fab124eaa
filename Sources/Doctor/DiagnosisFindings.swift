// Owns: which checks there are and in which order they are reported. A pure function; any thread.

extension Diagnosis {
  /// Judges the evidence.
  package init(_ seen: Evidence) {
    var findings = [ServerChecks.connection(seen)]
    switch seen.ending {
    case .unreachable, .unusable: break
    case .whole, .lost, .tooSlow:
      // HELLO is answered first, and to every user.
      if !seen.hello.isEmpty { findings += Diagnosis.whatWasSeen(seen) }
    }
    var isReachable = true
    if case .unreachable = seen.ending { isReachable = false }
    self.init(
      seen.place, namespace: seen.namespace, findings: findings, isReachable: isReachable)
  }

  private static func whatWasSeen(_ seen: Evidence) -> [Finding] {
    // A Sentinel has no data, so there is nothing more to check.
    if seen.hello["mode"] == "sentinel" {
      return [ServerChecks.version(seen), ServerChecks.mode(seen)]
    }
    let server: [Finding?] = [
      ServerChecks.version(seen), ServerChecks.role(seen), ServerChecks.mode(seen),
      ServerChecks.loading(seen), ServerChecks.namespace(seen), ServerChecks.writes(seen),
      ServerChecks.scripts(seen),
    ]
    let storage: [Finding?] = [StorageChecks.eviction(seen), StorageChecks.memory(seen)]
    let timing: [Finding?] = [
      StorageChecks.replicas(seen), TimingChecks.notifications(seen), TimingChecks.latency(seen),
      TimingChecks.clock(seen), TimingChecks.expiry(seen), seen.sealing.finding,
      seen.hooks.finding,
    ]
    return server.compactMap(\.self) + PermissionChecks.permissions(seen)
      + storage.compactMap(\.self) + StorageChecks.persistence(seen) + timing.compactMap(\.self)
  }
}
