// Owns: the meaning of Redis' error replies: one table from first word to meaning. Any thread.

/// The meaning of an error reply for the command that it answers.
package enum StoreError: Equatable, Sendable {
  /// Redis does not know the script or function (restart, promotion, SCRIPT FLUSH, FUNCTION FLUSH):
  /// load it and ask again.
  case scriptMissing
  /// Redis refused before it did anything; the text says why, for the caller to read.
  case refused(String)
  /// The same, because this is not the server for work, or not any more: the connection ends, and
  /// the name is looked up again.
  case wrongServer(String)
  /// A node of a cluster does not have the slot, or not all of it while that moves, or the cluster
  /// has lost it: nothing was done. The text is Redis' word.
  case elsewhere(String)
  /// A key, or a record in it, is not what a worker writes; the text says which.
  case corrupt(String)
  /// The record of a device's lock, under this key, is corrupt.
  case corruptLock(String)
  /// The command failed on its way: something may have been done. A bug.
  case failed(String)

  /// Classifies by the first word: errors out of scripts carry suffixes, and before Redis 7 a
  /// prefix.
  package init(_ message: String) {
    let text = StoreError.withoutPlace(message)
    let word = StoreError.firstWord(message)
    switch word {
    case "NOSCRIPT": self = .scriptMissing
    case "ERR" where message == "ERR Function not found": self = .scriptMissing
    case "ERR" where StoreError.isDenial(text):
      self = .refused("Redis does not let this worker in (NOPERM)")
    case "OOM": self = .refused("Redis is full (OOM)")
    case "READONLY": self = .wrongServer("\(UnfitServer.replica) (READONLY)")
    case "MASTERDOWN":
      self = .wrongServer("this Redis is a replica that has lost its master (MASTERDOWN)")
    // To a client that was blocked, when a master becomes a replica.
    case "UNBLOCKED": self = .wrongServer("this Redis has become a replica (UNBLOCKED)")
    // A server that loads while it is connected to is a replica, or has lost what it had.
    case "LOADING": self = .wrongServer("Redis is loading its data (LOADING)")
    case "MOVED", "ASK", "CROSSSLOT", "TRYAGAIN", "CLUSTERDOWN", "ELSEWHERE":
      self = .elsewhere(word)
    // The same to a command of a script, which is its first one.
    case "ERR" where text.contains("a non local key in a cluster node"): self = .elsewhere("MOVED")
    case "ERR" where text.contains("while the cluster is down"): self = .elsewhere("CLUSTERDOWN")
    case "MISCONF": self = .refused("Redis cannot write to its disk (MISCONF)")
    case "BUSY", "UNKILLABLE": self = .refused("Redis is busy with another script (\(word))")
    // The right server: it still reads, and writes again when its replicas are back.
    case "NOREPLICAS": self = .refused("too few replicas follow this Redis (NOREPLICAS)")
    case "NOPERM" where text.hasPrefix("NOPERM no right to "):
      let command = text.split(separator: " ")[4].prefix { $0 != "," }
      self = .refused("Redis gives this worker no right to \(command) (NOPERM)")
    case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED":
      self = .refused("Redis does not let this worker in (\(word))")
    // Scripts say so of a record, Redis of a key's type.
    case "CORRUPT":
      self = .corrupt("its \(text.split(separator: " ").dropFirst().first ?? "record")")
    case "BADLOCK":
      self = .corruptLock(text.split(separator: " ").dropFirst().first.map(String.init) ?? "")
    case "WRONGTYPE": self = .corrupt("a key of another type")
    default: self = .failed(message)
    }
  }

  /// Why Redis refused before it did anything; nil if it did not.
  package var refusal: String? {
    switch self {
    case .refused(let reason), .wrongServer(let reason): reason
    case .elsewhere(let word): "\(UnfitServer.cluster) (\(word))"
    case .scriptMissing, .corrupt, .corruptLock, .failed: nil
    }
  }

  /// The word by which an error is classified, such as `READONLY`.
  package static func firstWord(_ message: String) -> String {
    String(withoutPlace(message).prefix { $0 != " " })
  }

  /// Whether a script was refused a command on its way, without having asked about its rights.
  ///
  /// It cannot before Redis 7.0; and rights may change in the ms after it has asked.
  package static func isCutOff(_ message: String) -> Bool {
    let text = withoutPlace(message)
    return isDenial(text) || text.hasPrefix("NOPERM") && !text.hasSuffix("nothing was done")
  }

  /// Redis 7.0 refuses a script a command in words of its own.
  private static func isDenial(_ text: Substring) -> Bool {
    text.hasPrefix("ERR The user executing the script can't ")
  }

  /// Without the place in the script that Redis 6 puts before what a command said:
  /// `@user_script: 240: -OOM command not allowed …`, or `=[C]: -1: -OOM …` where the call is the
  /// last of a function; at the caller with `ERR Error running script (call to f_…): ` before that.
  private static func withoutPlace(_ message: String) -> Substring {
    let isPlaced = ["@user_script", "=[C]", "ERR Error running script"].contains {
      message.hasPrefix($0)
    }
    guard isPlaced else { return message[...] }
    // A word of an error follows ": -", and the number of a line may do so too.
    let start = message.indices.first { at in
      message[at...].hasPrefix(": -") && message[at...].dropFirst(3).first?.isUppercase == true
    }
    return start.map { message[$0...].dropFirst(3) } ?? message[...]
  }
}

/// Why a request did not get Redis' answer.
package enum RedisFailure: Error, Equatable, Sendable {
  /// It was never sent: nothing was done.
  case notSent(String)
  /// It was sent and no answer came: it may have been applied.
  case noAnswer(String)
  /// It was not sent, since a request before it has to be done first, and elsewhere: its owner asks
  /// again.
  case overtaken
}
