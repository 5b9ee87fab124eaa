// Owns: which servers are examined: one, or all nodes of a cluster, which the first node that
// answers names. Runs on its loop's thread.

package import Loop
internal import RedisConnection

/// Examines a Redis with all of its nodes, as far as it has several.
package final class NodesExamination {
  private let loop: EventLoop
  private let options: DoctorOptions
  private let ended: () -> Void
  private var isBrief: Bool { options.isBrief }
  /// The nodes of the URL that have not been asked yet.
  private var seeds: [Address] = []
  /// Kept until the end: an examination cannot be released within its own call.
  private var examinations: [Examination] = []
  private var running = 0
  /// What was found at nodes of the URL that know of no other node, and what at the nodes of the
  /// cluster.
  private var unanswered: [Evidence] = []
  private var answered: [Evidence] = []

  /// The evidence of each server; that of the nodes of a cluster together.
  package var seen: [Evidence] {
    guard !answered.isEmpty else { return unanswered }
    let known = Set(answered.map(\.node))
    return answered + unanswered.filter { !known.contains($0.node) }
  }

  /// `ended` is called once, when all is known that will be.
  package init(_ loop: EventLoop, _ options: DoctorOptions, ended: @escaping () -> Void) {
    self.loop = loop
    self.options = options
    self.ended = ended
    if case .cluster(let nodes) = options.endpoint.topology { seeds = nodes }
  }

  package func start() {
    guard !seeds.isEmpty else { return examine(options.endpoint, then: firstEnded) }
    examine(options.endpoint.server(seeds.removeFirst()), then: firstEnded)
  }

  /// Sends the commands that are queued; call it at the end of each turn of the loop.
  package func flush() {
    for examination in examinations { examination.flush() }
  }

  /// Ends at once, without `ended`; the doctor's keys expire by themselves.
  package func stop() {
    for examination in examinations { examination.stop() }
  }

  private func examine(
    _ endpoint: RedisEndpoint, isReplica: Bool = false, then next: @escaping (Evidence) -> Void
  ) {
    var options = options
    options.endpoint = endpoint
    running += 1
    let number = examinations.count
    let examination = Examination(loop, options) { [unowned self] in
      running -= 1
      var seen = examinations[number].seen
      seen.node = endpoint.address.map { "\($0)" }
      seen.isNamedReplica = isReplica
      next(seen)
    }
    examinations.append(examination)
    examination.start()
  }

  /// A node of the URL is known, and with it the others, unless it could not say.
  private func firstEnded(_ seen: Evidence) {
    guard let cluster = seen.cluster, !cluster.nodes.isEmpty else {
      unanswered.append(seen)
      return seeds.isEmpty ? ended() : start()
    }
    answered.append(seen)
    // A worker's start does not wait for replicas, which make no Redis unfit.
    for node in cluster.nodes where node.id != cluster.id && !(isBrief && node.isReplica) {
      let endpoint = options.endpoint.server(node.address)
      examine(endpoint, isReplica: node.isReplica) { [unowned self] seen in
        answered.append(seen)
        if running == 0 { ended() }
      }
    }
    if running == 0 { ended() }
  }
}
