package connect

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Use is what a database is for.
type Use int

// The uses of a database.
const (
	ForCheckpoint Use = iota
	ForSource
)

// Address converts the address of a database, as written for any framework, to the form that the drivers here accept. It removes quotes and
// white space from an environment file, the name of a driver in the scheme, and parameters of connection pools and other libraries. It
// keeps unknown parameters, which may be settings of the server.
func Address(raw string, use Use) string {
	address := Unwrapped(raw)
	if rest, ok := cutPrefixFold(address, "jdbc:"); ok {
		address = Unwrapped(rest)
	}
	if path, ok := cutPrefixFold(address, "sqlite:"); ok {
		return "sqlite:" + strings.TrimSpace(path)
	}
	scheme, rest, ok := strings.Cut(address, "://")
	scheme, _, _ = strings.Cut(strings.ToLower(scheme), "+")
	if !ok || !slices.Contains(postgresSchemes, scheme) {
		return address
	}
	address = "postgres://" + rest
	at := strings.LastIndexByte(address, '?')
	if at < 0 {
		return address
	}
	given, err := url.ParseQuery(address[at+1:])
	if err != nil || strings.Contains(address[at:], "@") { // a question mark in the password
		return address
	}
	if address = Unwrapped(address[:at]); len(given) == 0 {
		return address
	}
	if query := parameters(given, use).Encode(); query != "" {
		// Every parser reads %20 as a space, but not every one reads a plus as one.
		address += "?" + strings.ReplaceAll(query, "+", "%20")
	}
	return address
}

// Unwrapped removes white space, control characters and quotes around a value from an environment file.
func Unwrapped(value string) string {
	for {
		trimmed := strings.TrimFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
		if n := len(trimmed); n >= 2 && trimmed[0] == trimmed[n-1] && strings.IndexByte("\"'`", trimmed[0]) >= 0 {
			trimmed = trimmed[1 : n-1]
		}
		if trimmed == value {
			return value
		}
		value = trimmed
	}
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

var postgresSchemes = []string{"postgres", "postgresql", "postgis", "pgsql", "pg", "psql"}

// foreignParameters are parameters of other libraries, in lower case. The drivers here do not understand them.
var foreignParameters = strings.Fields(`
	pgbouncer connection_limit pool_timeout socket_timeout sslidentity sslaccept workaround
	pool pool_size pool_recycle pool_pre_ping pool_mode pool_use_lifo max_overflow echo echo_pool min_size max_size max idle_timeout max_lifetime
	statement_cache_size statement_cache_capacity description_cache_capacity default_query_exec_mode statement_cache_mode
	prepared_statements prepared_statement_cache_size prepared_statement_cache_queries prepared_statement_name_func
	prepare prepare_threshold preparethreshold preparedstatementcachequeries preparedstatementcachesizemib advisory_locks
	checkout_timeout reaping_frequency reconnect adapter encoding charset client_encoding unicode async_fallback command_timeout timeout max_inactive_connection_lifetime
	conn_max_age conn_health_checks disable_server_side_cursors atomic_requests autocommit serverversion
	uselibpqcompat keepalive idletimeoutmillis connectiontimeoutmillis query_timeout max_uses binary
	logintimeout connecttimeout sockettimeout tcpkeepalive rewritebatchedinserts targetservertype autosave binarytransfer defaultrowfetchsize loggerlevel
	loggerfile sslfactory sslhostnameverifier stringtype readonly logunclosedconnections disablecolumnsanitiser assumeminserverversion cancelsignaltimeout gssencmode
	sslcompression sslcrl sslcrldir requirepeer keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout
	fallback_application_name load_balance_hosts hostaddr requiressl gsslib gssdelegation ssl_min_protocol_version ssl_max_protocol_version
	poolmaxsize maxpoolsize minpoolsize pooling tz`)

// poolParameters are parameters of pgx's pool, which the checkpoint uses. A single connection does not understand them.
var poolParameters = strings.Fields(`pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime pool_max_conn_idle_time pool_health_check_period
	pool_max_conn_lifetime_jitter`)

// parameters returns the parameters for the driver or the server.
func parameters(given url.Values, use Use) url.Values {
	out := url.Values{}
	for name, values := range given {
		value := strings.TrimSpace(values[len(values)-1])
		switch plain := strings.ToLower(name); {
		case slices.Contains(foreignParameters, plain), use == ForSource && slices.Contains(poolParameters, plain):
		case plain == "schema", plain == "currentschema", plain == "search_path":
			if use == ForSource && value != "" { // the checkpoint has a schema of its own
				out.Set("search_path", schemaList(value, plain == "search_path"))
			}
		case plain == "ssl", plain == "sslmode", plain == "ssl-mode", plain == "ssl_mode":
			if mode := sslMode(value); out.Get("sslmode") == "" || plain == "sslmode" {
				out.Set("sslmode", mode)
			}
		case plain == "applicationname":
			out.Set("application_name", value)
		case plain == "channel_binding", plain == "sslrootcert", plain == "connect_timeout", plain == "application_name", plain == "target_session_attrs":
			out.Set(plain, value)
		default:
			out[name] = values
		}
	}
	if strings.EqualFold(given.Get("sslaccept"), "strict") && (out.Get("sslmode") == "" || out.Get("sslmode") == "require") {
		out.Set("sslmode", "verify-full")
	}
	return out
}

// schemaList quotes the names in a list of schemas. A list that is already quoted stays as it is.
func schemaList(value string, isSQL bool) string {
	if isSQL && strings.Contains(value, `"`) {
		return value
	}
	names := strings.Split(value, ",")
	for i, name := range names {
		names[i] = `"` + strings.ReplaceAll(strings.TrimSpace(name), `"`, `""`) + `"`
	}
	return strings.Join(names, ", ")
}

// sslMode translates other libraries' names of TLS modes to libpq's. It returns unknown ones in lower case, which the driver rejects.
func sslMode(value string) string {
	switch mode := strings.ReplaceAll(strings.ToLower(value), "_", "-"); mode {
	case "no-verify", "true", "1", "yes", "on", "required", "":
		return "require"
	case "false", "0", "no", "off", "disabled":
		return "disable"
	case "preferred":
		return "prefer"
	case "verify-identity":
		return "verify-full"
	default:
		return mode
	}
}
