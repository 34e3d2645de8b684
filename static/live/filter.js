// Which changes are wanted, as the page's address says it: /live?prefix=home/ . The
// parameters are those of /api/ws and /api/stream; without one it is everything.

export const KINDS = ["entity_id", "prefix", "namespace"];

/** A filter is {kind, value}; the kind "" is everything. */
export function fromAddress(search) {
  const given = new URLSearchParams(search);
  const kind = KINDS.find((one) => given.get(one)) ?? "";
  return { kind, value: kind && given.get(kind) };
}

export function toAddress(filter) {
  return filter.kind ? `/live?${asQuery(filter)}` : "/live";
}

/** Everything is asked for by name, too: only then the server says where it begins. */
export function asQuery({ kind, value }) {
  return new URLSearchParams(kind ? { [kind]: value } : { entity_id: "*" });
}

/** Deletions are told to everybody, whatever they asked for (docs/api.md). */
export function matches({ kind, value }, entityId) {
  const namespace = entityId.includes("/") ? entityId.split("/", 1)[0] : "default";
  switch (kind) {
    case "entity_id":
      return value === "*" || entityId === value;
    case "prefix":
      return entityId.startsWith(value);
    case "namespace":
      return namespace === value;
    default:
      return true;
  }
}

/** An entity that matches, for an example. any: one, where all do. */
export function example({ kind, value }, any) {
  switch (kind) {
    case "entity_id":
      return value === "*" ? any : value;
    case "prefix":
      return value.includes("/") ? `${value}example` : `${value}/example`;
    case "namespace":
      return `${value}/example`;
    default:
      return any;
  }
}
