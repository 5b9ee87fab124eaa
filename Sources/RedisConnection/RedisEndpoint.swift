// Owns: where Redis is, and the login there. Values; any thread.

package import Loop

/// Where Redis is: a server, or the servers by which the right one is found.
package enum RedisTopology: Sendable, Hashable {
  case server(Address)
  /// The master of that name; the sentinels know its address.
  case sentinel([Address], master: String)
  /// The masters of a cluster; each of these nodes knows the others.
  case cluster([Address])

  /// The word for people: what INFO gives as mode.
  package var mode: String {
    switch self {
    case .server: "standalone"
    case .sentinel: "sentinel"
    case .cluster: "cluster"
    }
  }
}

/// Where a Redis is, and the login there.
package struct RedisEndpoint: Sendable, Hashable {
  package var topology: RedisTopology
  /// Nil means Redis' default user.
  package var user: String?
  package var password: String?
  /// The number of the logical database.
  package var database: Int
  /// Whether bytes go through TLS, to all its servers.
  package var usesTLS: Bool

  package init(
    topology: RedisTopology, user: String? = nil, password: String? = nil, database: Int = 0,
    usesTLS: Bool = false
  ) {
    self.topology = topology
    self.user = user
    self.password = password
    self.database = database
    self.usesTLS = usesTLS
  }

  package init(
    address: Address, user: String? = nil, password: String? = nil, database: Int = 0,
    usesTLS: Bool = false
  ) {
    self.init(
      topology: .server(address), user: user, password: password, database: database,
      usesTLS: usesTLS)
  }

  /// One of its servers, by the same login.
  package func server(_ address: Address) -> RedisEndpoint {
    var endpoint = self
    endpoint.topology = .server(address)
    return endpoint
  }

  /// The address, where it is one server; nil where it has yet to be found.
  package var address: Address? {
    guard case .server(let address) = topology else { return nil }
    return address
  }

  /// The endpoint without its secret, as it may stand in logs and in the ready line.
  package var publicText: String {
    let scheme = usesTLS ? "rediss" : "redis"
    let path = database == 0 ? "" : "/\(database)"
    switch topology {
    case .server(.unix(let path)):
      return "unix://\(path)\(database == 0 ? "" : "?db=\(database)")"
    case .server(let address): return "\(scheme)://\(address)\(path)"
    case .sentinel(let sentinels, let master):
      return "\(scheme)-sentinel://\(RedisEndpoint.list(sentinels))/\(master)\(path)"
    case .cluster(let nodes): return "\(scheme)-cluster://\(RedisEndpoint.list(nodes))"
    }
  }

  private static func list(_ addresses: [Address]) -> String {
    addresses.map(\.description).joined(separator: ",")
  }
}
