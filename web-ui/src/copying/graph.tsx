import dagre from "@dagrejs/dagre";
import {
  Background,
  BaseEdge,
  Controls,
  type Edge,
  EdgeLabelRenderer,
  type EdgeProps,
  getBezierPath,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { memo, useMemo } from "react";
import type { Account, Group, Member } from "../api/shapes";
import { useSpeech } from "../i18n";
import { memberKey } from "../live/board";
import { go, hrefOf } from "../shell/router";
import { StatusBadge } from "../ui/bits";
import { usePrefs } from "../util/prefs";
import { volumeWords } from "./parts";

interface Props {
  groups: readonly Group[];
  members: readonly Member[];
  accounts: ReadonlyMap<string, Account>;
}

type Seat = Node<{
  role: "master" | "slave";
  account: string;
  enabled: boolean;
  status: number;
  connection: string;
}>;

const WIDTH = 214;
const HEIGHT = 64;

/** Masters to the left, slaves to the right, and who copies whom. */
export default function Graph({ groups, members, accounts }: Props) {
  const { t } = useSpeech();
  const { theme } = usePrefs();
  const shape = useMemo(
    () =>
      [
        ...groups.map((group) => group.master_account),
        ...members.map((member) => memberKey(member)),
      ].join(" "),
    [groups, members],
  );
  // Places change only with who is there, not with every word about them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape is what is laid out
  const places = useMemo(() => layOut(groups, members), [shape]);

  const nodes = useMemo<Seat[]>(
    () =>
      [...places].map(([id, place]) => {
        const [role, ...rest] = id.split("/");
        const account = rest.join("/");
        const known = accounts.get(id);
        const group = groups.find((one) => role === "master" && one.master_account === account);
        return {
          id,
          type: "seat",
          position: place,
          draggable: false,
          connectable: false,
          ariaLabel: account,
          data: {
            role: role as "master" | "slave",
            account,
            enabled: group ? group.enabled_flag : (known?.enabled_flag ?? false),
            status: group ? group.master_runtime_status : (known?.runtime_status ?? 0),
            connection: known?.connection ?? "never",
          },
        };
      }),
    [places, accounts, groups],
  );
  const edges = useMemo<LinkEdge[]>(() => {
    /** Labels of links to the same slave stand one above the other. */
    const ranks = new Map<string, number>();
    const rankOf = (member: Member) => {
      const rank = ranks.get(member.slave_account) ?? 0;
      ranks.set(member.slave_account, rank + 1);
      return rank;
    };
    return members.map((member) => {
      const settings = member.slave_settings as Record<string, unknown>;
      const on = member.enabled_flag && member.status === 2 && member.allow_new_orders;
      const state = !member.enabled_flag ? "off" : on ? "on" : member.status === 0 ? "bad" : "wait";
      const label = [
        volumeWords(settings, t),
        settings.reverse === true ? t("link.reverse") : "",
        settings.mode === "observe" ? t("link.observe") : "",
      ];
      return {
        id: memberKey(member),
        source: `master/${member.trade_group_id}`,
        target: `slave/${member.slave_account}`,
        type: "copy",
        animated: on,
        focusable: true,
        className: `edge-${state}`,
        data: { label: label.filter(Boolean).join(" · "), rank: rankOf(member) },
      };
    });
  }, [members, t]);

  return (
    <div className="graph">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={SEATS}
        edgeTypes={LINKS}
        colorMode={theme}
        fitView
        minZoom={0.1}
        nodesConnectable={false}
        proOptions={{ hideAttribution: true }}
        onNodeClick={(_, node) =>
          go(hrefOf(`/accounts/${node.data.role}/${encodeURIComponent(node.data.account)}`))
        }
        onEdgeClick={(_, edge) => go(hrefOf(`/copying/${edge.id}`))}
        aria-label={t("copying.graph_label", { masters: groups.length, links: members.length })}
      >
        <Background gap={24} />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}

const SeatNode = memo(function SeatNode({ data }: NodeProps<Seat>) {
  const { code } = useSpeech();
  const online = data.connection === "online";
  return (
    <div className={`seat seat-${data.role}`}>
      {data.role === "slave" && <Handle type="target" position={Position.Left} />}
      <p>
        <span className={online ? "seat-dot is-online" : "seat-dot"} aria-hidden="true" />
        <strong>{data.account}</strong>
      </p>
      <p>
        <span className="hint">{code("connection", data.connection)}</span>
        <StatusBadge role={data.role} enabled={data.enabled} status={data.status} />
      </p>
      {data.role === "master" && <Handle type="source" position={Position.Right} />}
    </div>
  );
});

type LinkEdge = Edge<{ label: string; rank: number }>;

/** A link with its label beside the slave, where lines lie apart. */
function CopyEdge(props: EdgeProps<LinkEdge>) {
  const { targetX, targetY, data } = props;
  const [path] = getBezierPath(props);
  return (
    <>
      <BaseEdge id={props.id} path={path} />
      <EdgeLabelRenderer>
        <span
          className="edge-label"
          style={{
            transform: `translate(-100%, -50%) translate(${targetX - 10}px, ${targetY - 18 + 18 * (data?.rank ?? 0)}px)`,
          }}
        >
          {data?.label}
        </span>
      </EdgeLabelRenderer>
    </>
  );
}

const LINKS = { copy: CopyEdge };

const SEATS = { seat: SeatNode };

function layOut(groups: readonly Group[], members: readonly Member[]) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", ranksep: 220, nodesep: 18 });
  graph.setDefaultEdgeLabel(() => ({}));
  const seat = { width: WIDTH, height: HEIGHT };
  for (const group of groups) graph.setNode(`master/${group.master_account}`, { ...seat });
  for (const member of members) {
    graph.setNode(`slave/${member.slave_account}`, { ...seat });
    graph.setNode(`master/${member.trade_group_id}`, { ...seat });
    graph.setEdge(`master/${member.trade_group_id}`, `slave/${member.slave_account}`);
  }
  dagre.layout(graph);
  return new Map(
    graph.nodes().map((id) => {
      const { x, y } = graph.node(id);
      return [id, { x: x - WIDTH / 2, y: y - HEIGHT / 2 }] as const;
    }),
  );
}
