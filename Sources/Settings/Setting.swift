// Owns: what one setting is, and how one of each kind (duration, count, bytes ...) is made.
// Must not know which settings there are; SettingsTable.swift lists them. Any thread.

internal import RedisConnection
internal import Wire

/// A wrong setting: a sentence that names the flag and says what is allowed.
package struct SettingError: Error, Equatable, CustomStringConvertible {
  package let text: String

  package init(_ text: String) { self.text = text }

  package var description: String { text }
}

/// One row of the settings table: a flag, its environment variable and its text in the manual.
package struct Setting: Sendable {
  /// The headings under which settings stand in the manual, in its order.
  package enum Group: String, Sendable, CaseIterable {
    case server = "Server"
    case redis = "Redis"
    case locks = "Locks"
    case sessions = "Sessions"
    case events = "Events"
    case limits = "Limits"
    case logging = "Logging"
  }

  /// The flag with its dashes, such as `--lock-ttl`.
  package let flag: String
  /// The value's name in the manual, such as DURATION; empty for a switch.
  package let valueName: String
  package let group: Group
  /// The default as a caller would write it; empty where the default is that there is none.
  package let defaultText: String
  /// The allowed values, in words that can follow 'takes'.
  package let rangeText: String
  /// One or two sentences.
  package let summary: String
  /// Whether the flag may be given several times; the environment then has commas in between.
  package let isRepeatable: Bool
  /// What stands between the values of a flag that may be repeated in the environment: a comma,
  /// unless values have commas.
  package var separator: Character = ","
  /// A variable of other programs that is read where neither flag nor own variable is given.
  package let fallbackVariable: String?
  /// Reads a value's text into the settings.
  package let apply: @Sendable (inout Settings, String) throws(SettingError) -> Void

  /// Whether the flag stands alone on the command line.
  package var isSwitch: Bool { valueName.isEmpty }

  /// The environment variable: `LATCHKEY_LOCK_TTL` for `--lock-ttl`.
  package var variable: String {
    "LATCHKEY_" + String(flag.dropFirst(2).map { $0 == "-" ? "_" : $0 }).uppercased()
  }
}

// MARK: - One of each kind

extension Setting {
  /// Where a setting's value stands in the settings.
  package typealias Field<Value> = any WritableKeyPath<Settings, Value> & Sendable

  /// The texts that every setting has, whatever its kind.
  package struct Row: Sendable {
    package var flag: String
    package var group: Group
    var defaultText: String
    package var summary: String
    var fallbackVariable: String?

    package init(
      _ flag: String, _ group: Group, default defaultText: String, _ summary: String,
      fallbackVariable: String? = nil
    ) {
      self.flag = flag
      self.group = group
      self.defaultText = defaultText
      self.summary = summary
      self.fallbackVariable = fallbackVariable
    }

    /// The one shape of a refusal, which does not repeat a value that may hold a secret.
    package func refusal(of text: String, allowed: String) -> SettingError {
      SettingError("\(flag) takes \(allowed); got \(SettingText.shown(text))")
    }
  }

  /// A setting whose text `read` turns into a value, or into nil if it is not allowed.
  package static func value<Value>(
    _ row: Row, _ valueName: String, range: String, _ path: Field<Value>,
    read: @escaping @Sendable (String) -> Value?
  ) -> Setting {
    Setting(
      flag: row.flag, valueName: valueName, group: row.group, defaultText: row.defaultText,
      rangeText: range, summary: row.summary, isRepeatable: false,
      fallbackVariable: row.fallbackVariable
    ) { (settings, text) throws(SettingError) in
      guard let value = read(text) else { throw row.refusal(of: text, allowed: range) }
      settings[keyPath: path] = value
    }
  }

  /// A length of time, in the text of the protocol's durations.
  package static func duration(
    _ row: Row, _ allowed: ClosedRange<Int64>, zeroMeans zero: String? = nil, _ path: Field<Int64>
  ) -> Setting {
    let least = SettingText.duration(ms: allowed.lowerBound)
    let most = SettingText.duration(ms: allowed.upperBound)
    let range = "\(least) to \(most)" + (zero.map { ", or 0 for \($0)" } ?? "")
    return value(row, "DURATION", range: range, path) { text in
      SettingText.durationMs(text).flatMap { ms in
        allowed.contains(ms) || (ms == 0 && zero != nil) ? ms : nil
      }
    }
  }

  /// A whole number.
  package static func count(_ row: Row, _ allowed: ClosedRange<Int>, _ path: Field<Int>) -> Setting
  {
    value(row, "N", range: "\(allowed.lowerBound) to \(allowed.upperBound)", path) { text in
      SettingText.number(text.utf8[...]).flatMap { allowed.contains(Int($0)) ? Int($0) : nil }
    }
  }

  /// A number of bytes, bare or with KiB or MiB.
  package static func bytes(_ row: Row, _ allowed: ClosedRange<Int>, _ path: Field<Int>) -> Setting
  {
    let least = SettingText.bytes(allowed.lowerBound)
    let most = SettingText.bytes(allowed.upperBound)
    return value(row, "BYTES", range: "\(least) to \(most)", path) { text in
      SettingText.bytes(text).flatMap { allowed.contains($0) ? $0 : nil }
    }
  }

  /// A file by its path.
  static func file(_ row: Row, _ path: Field<String?>) -> Setting {
    value(row, "FILE", range: "the path of a file", path) { $0.isEmpty ? nil : .some($0) }
  }

  /// Where to listen.
  static func hostPort(_ row: Row, _ path: Field<HostPort>) -> Setting {
    value(
      row, "HOST:PORT", range: "host:port or [IPv6]:port, where port 0 is any free one", path,
      read: SettingText.hostPort)
  }

  /// The same for what is off by default.
  static func hostPortIfAny(_ row: Row, _ path: Field<HostPort?>) -> Setting {
    value(
      row, "HOST:PORT", range: "host:port or [IPv6]:port, where port 0 is any free one", path
    ) { SettingText.hostPort($0).map { .some($0) } }
  }

  /// Origins of pages, any number of them.
  static func origins(_ row: Row, _ path: Field<[String]>) -> Setting {
    let range = "null, or a scheme, host and port as a browser writes them (https://app.example)"
    return Setting(
      flag: row.flag, valueName: "ORIGIN[,…]", group: row.group, defaultText: row.defaultText,
      rangeText: range, summary: row.summary, isRepeatable: true, fallbackVariable: nil
    ) { (settings, text) throws(SettingError) in
      for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        let origin = String(part)
        guard SettingText.isOrigin(origin) else { throw row.refusal(of: origin, allowed: range) }
        guard !settings[keyPath: path].contains(origin) else {
          throw SettingError("\(row.flag) names the origin '\(origin)' twice")
        }
        settings[keyPath: path].append(origin)
      }
    }
  }

  /// Texts, any number of them.
  static func texts(_ row: Row, _ valueName: String, range: String, _ path: Field<[String]>)
    -> Setting
  {
    Setting(
      flag: row.flag, valueName: valueName, group: row.group, defaultText: row.defaultText,
      rangeText: range, summary: row.summary, isRepeatable: true, fallbackVariable: nil
    ) { (settings, text) throws(SettingError) in
      guard !text.isEmpty else { throw row.refusal(of: text, allowed: range) }
      guard !settings[keyPath: path].contains(text) else {
        throw SettingError("\(row.flag) names \(SettingText.shown(text)) twice")
      }
      settings[keyPath: path].append(text)
    }
  }

  /// Where Redis is; the error of a URL does not repeat it.
  package static func redisURL(_ row: Row, _ path: Field<String?>) -> Setting {
    let range =
      "redis[s]://[user:password@]host:port[/db], unix://[user:password@]/path[?db=n], "
      + "redis[s]-sentinel://[user:password@]host:port,…/name[/db] or "
      + "redis[s]-cluster://[user:password@]host:port,…"
    return Setting(
      flag: row.flag, valueName: "URL", group: row.group, defaultText: row.defaultText,
      rangeText: range,
      summary: row.summary, isRepeatable: false, fallbackVariable: row.fallbackVariable
    ) { (settings, text) throws(SettingError) in
      do throws(RedisURLError) { _ = try RedisEndpoint(url: text) } catch {
        throw SettingError("\(row.refusal(of: text, allowed: range).text): \(error.text)")
      }
      settings[keyPath: path] = text
    }
  }

  /// One of a few words.
  package static func word<Value: Sendable>(
    _ row: Row, _ valueName: String, _ words: [(word: String, value: Value)],
    _ path: Field<Value>
  ) -> Setting {
    let all = words.map(\.word)
    let range = all.dropLast().joined(separator: ", ") + " or " + (all.last ?? "")
    return value(row, valueName, range: range, path) { text in
      words.first { $0.word == text }?.value
    }
  }

  /// A flag that stands alone; the environment says 1, true or yes, or 0, false or no.
  package static func toggle(_ row: Row, _ path: Field<Bool>) -> Setting {
    value(row, "", range: "1, true, yes, 0, false or no", path) { text in
      switch text.lowercased() {
      case "1", "true", "yes": true
      case "0", "false", "no": false
      default: nil
      }
    }
  }

  /// Named policies, any number of them.
  static func policies(_ row: Row, _ path: Field<[String: SessionPolicy]>) -> Setting {
    var setting = Setting(
      flag: row.flag, valueName: "NAME:LIST", group: row.group, defaultText: row.defaultText,
      rangeText: SessionPolicy.rangeText, summary: row.summary, isRepeatable: true,
      fallbackVariable: row.fallbackVariable
    ) { (settings, text) throws(SettingError) in
      let policy: SessionPolicy
      do throws(SettingError) { policy = try SessionPolicy(text) } catch {
        let refusal = row.refusal(of: text, allowed: SessionPolicy.rangeText)
        throw SettingError("\(refusal.text): \(error.text)")
      }
      guard settings[keyPath: path].updateValue(policy, forKey: policy.name) == nil else {
        throw SettingError("\(row.flag) names the policy '\(policy.name)' twice")
      }
    }
    setting.separator = ";"
    return setting
  }

  /// A duration for each of several names: NAME=DURATION, any number of times.
  static func durationByName(
    _ row: Row, _ allowed: ClosedRange<Int64>, _ path: Field<[String: Int64]>
  ) -> Setting {
    let least = SettingText.duration(ms: allowed.lowerBound)
    let most = SettingText.duration(ms: allowed.upperBound)
    let range = "an agent's name, '=', and \(least) to \(most)"
    return Setting(
      flag: row.flag, valueName: "NAME=DURATION", group: row.group, defaultText: row.defaultText,
      rangeText: range, summary: row.summary, isRepeatable: true,
      fallbackVariable: row.fallbackVariable
    ) { (settings, text) throws(SettingError) in
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, IDText.isID(parts[0], bytesMax: IDText.agentBytesMax),
        let ms = SettingText.durationMs(String(parts[1])), allowed.contains(ms)
      else { throw row.refusal(of: text, allowed: range) }
      guard settings[keyPath: path].updateValue(ms, forKey: String(parts[0])) == nil else {
        throw SettingError("\(row.flag) names the agent '\(parts[0])' twice")
      }
    }
  }
}
