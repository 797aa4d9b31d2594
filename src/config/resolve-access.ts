/** `[acl]`, `[limits]`, `[tenants]`, `[device]`. */

import { aclRows, ruleRows } from './acl-options.js';
import type {
  AclConfig,
  AclRule,
  CustomSegment,
  DeviceConfig,
  LimitsConfig,
  TenantsConfig,
} from './broker-config.js';
import { deviceRows, mePatterns, type TenantSource, tenantsRows } from './identity-options.js';
import { flappingRows, limitsRows } from './limits-options.js';
import { deviceLogRows, kDefaultLogBytes, segmentRows } from './log-options.js';
import type { BrokerTable, RouterConfig } from './options.js';
import { placedIn } from './places.js';
import type { Reader } from './reader.js';
import type { ValueTable } from './rows.js';
import { isTopicFilter } from './topic-filter.js';
import { quoteKey, type TableNode } from './tree.js';
import { wrong } from './values.js';

const kLeastLogBytes = deviceLogRows.max_dynamic_bytes.min;

export function readAcl(reader: Reader, root: TableNode): AclConfig | undefined {
  const node = reader.tableAt(root, 'acl');
  if (node === undefined) return undefined;
  const values = reader.rows('acl', node, aclRows, 'acl');
  const { files, narrow, ...rest } = values as unknown as ValueTable<typeof aclRows>;
  const rules = reader
    .tablesAt(node, 'rules')
    .map((table, index) => readRule(reader, table, `acl.rules[${index}]`));
  const hasAny = rules.length > 0 || files.length > 0;
  return placedIn<AclConfig>(node, {
    rules,
    files,
    default: rest.default === 'auto' ? (hasAny ? 'deny' : 'allow') : (rest.default as 'allow'),
    v3Denied: rest.v3_denied as AclConfig['v3Denied'],
    narrow: narrow as boolean,
  });
}

function readRule(reader: Reader, node: TableNode, table: string): AclRule {
  const values = reader.rows(table, node, ruleRows, 'rule');
  const rows = values as unknown as ValueTable<typeof ruleRows>;
  if (rows.effect === undefined) throw reader.missing(node, 'effect', ruleRows.effect);
  // A list that is there and empty would fit everyone, where its writer meant nobody.
  for (const key of Object.keys(ruleRows)) {
    const value = values[key];
    if (node.children.has(key) && Array.isArray(value) && value.length === 0) {
      throw reader.conflict(
        node,
        key,
        `${table} ${key} is an empty list, which fits nobody; leave it out, or the rule`,
      );
    }
  }
  return placedIn<AclRule>(node, {
    effect: rows.effect,
    actions: rows.actions as AclRule['actions'],
    filters: rows.filters,
    users: rows.users,
    clients: rows.clients,
    groups: rows.groups,
    certificates: rows.certificates,
    addresses: rows.addresses,
    listeners: rows.listeners,
    anonymous: rows.anonymous as boolean | undefined,
    role: rows.role,
    qos: rows.qos as 0 | 1 | 2,
    retain: rows.retain as boolean | undefined,
    name: rows.name,
  });
}

export function readLimits(reader: Reader, root: TableNode): LimitsConfig {
  const node = reader.tableAt(root, 'limits');
  const rows = reader.rows('limits', node, limitsRows, 'limits') as unknown as ValueTable<
    typeof limitsRows
  >;
  const inner = node === undefined ? undefined : reader.tableAt(node, 'flapping');
  const flapping = reader.rows(
    'limits.flapping',
    inner,
    flappingRows,
    'flapping',
  ) as unknown as ValueTable<typeof flappingRows>;
  return {
    acceptsPerTurn: rows.accepts_per_turn,
    maxConnectionsPerTenant: rows.max_connections_per_tenant,
    messagesPerSPerTenant: rows.messages_per_s_per_tenant,
    bytesPerSPerTenant: rows.bytes_per_s_per_tenant,
    flapping: { count: flapping.count, windowS: flapping.window_s, banS: flapping.ban_s },
  };
}

export function readTenants(reader: Reader, root: TableNode): TenantsConfig {
  const node = reader.tableAt(root, 'tenants');
  const mode = node === undefined ? 'off' : 'enforced';
  const rows = reader.rows('tenants', node, tenantsRows, 'tenants', { mode });
  return {
    mode: rows.mode as TenantsConfig['mode'],
    from: rows.from as readonly TenantSource[],
  };
}

export function readDevice(
  reader: Reader,
  root: TableNode,
  { max_memory_bytes: memory }: BrokerTable,
): DeviceConfig {
  const max_dynamic_bytes =
    memory === 0 ? kDefaultLogBytes : Math.max(Math.floor(memory / 8), kLeastLogBytes);
  const node = reader.tableAt(root, 'device');
  const rows = reader.rows('device', node, deviceRows, 'device', { max_dynamic_bytes });
  return {
    deviceIdFrom: rows.device_id_from as DeviceConfig['deviceIdFrom'],
    meTopics: rows.me_topics as DeviceConfig['meTopics'],
    mePatterns: mePatterns(rows.me_patterns as readonly string[]),
    gateways: rows.gateways as readonly string[],
    maxKnown: rows.max_known as number,
    dynamicReplay: rows.dynamic_replay as DeviceConfig['dynamicReplay'],
    maxDynamicFilters: rows.max_dynamic_filters as number,
    maxDynamicBytes: rows.max_dynamic_bytes as number,
  };
}

/** [router.custom_segment.FILTER] */
export function readSegments(
  reader: Reader,
  root: TableNode,
  { max_segment_size, max_segment_count }: RouterConfig,
): readonly CustomSegment[] {
  const router = reader.tableAt(root, 'router');
  const custom = router === undefined ? undefined : reader.tableAt(router, 'custom_segment');
  return [...(custom?.children ?? [])].map(([filter, node]) => {
    if (node.kind !== 'table')
      throw wrong(node, 'a table with max_segment_size or max_segment_count');
    if (!isTopicFilter(filter)) throw wrong(node, 'a table whose name is a Topic Filter');
    const table = `router.custom_segment.${quoteKey(filter)}`;
    const base = { max_segment_size, max_segment_count };
    const rows = reader.rows(table, node, segmentRows, 'segment', base);
    return {
      filter,
      maxSegmentSize: rows.max_segment_size as number,
      maxSegmentCount: rows.max_segment_count as number,
    };
  });
}
