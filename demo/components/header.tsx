import type { JSX } from 'preact';
import { nameOfChoice } from '../state/model_choice.ts';
import type { ContextUse, LoadState } from '../state/types.ts';
import { adapterName } from '../wording.ts';
import { DeviceDetails } from './device_details.tsx';
import { Icon } from './icons.tsx';
import { usePage } from './page.ts';
import { Popover } from './popover.tsx';
import { hasDrawer, hasSidebar, isNarrow, openDialog, toggleSidebar } from './ui.ts';

/** What the page runs, how full it is, and ways to change it. */
export function Header({ onNewChat }: { readonly onNewChat: () => void }): JSX.Element {
  const { chat, host } = usePage();
  const state = host.state.value;
  const isSidebarShown = isNarrow.value ? hasDrawer.value : hasSidebar.value;
  const modelName = state.kind === 'none' ? 'Choose a model' : nameOfChoice(state.choice);
  return (
    <header class="header">
      {!isSidebarShown && (
        <>
          <h1 class="visually-hidden">Quern</h1>
          <button
            id="show-sidebar"
            type="button"
            class="icon-button"
            aria-label="Show the sidebar"
            title="Show the sidebar"
            aria-expanded={false}
            onClick={toggleSidebar}
          >
            <Icon name="sidebar" />
          </button>
          <button
            type="button"
            class="icon-button"
            aria-label="New chat"
            title="New chat"
            onClick={onNewChat}
          >
            <Icon name="compose" />
          </button>
        </>
      )}
      <button
        id="model"
        type="button"
        class="model-button"
        aria-label={`Model: ${modelName}. Choose another`}
        title={modelName}
        aria-haspopup="dialog"
        onClick={() => {
          openDialog.value = 'model';
        }}
      >
        <span>{modelName}</span>
        <Icon name="down" />
      </button>
      <div class="header-end">
        <DeviceChip state={state} use={chat.contextUse.value} onOpen={() => void host.refresh()} />
        <button
          id="open-settings"
          type="button"
          class="icon-button"
          aria-label="Settings of this chat"
          title="Settings of this chat"
          aria-haspopup="dialog"
          onClick={() => {
            openDialog.value = 'settings';
          }}
        >
          <Icon name="sliders" />
        </button>
      </div>
    </header>
  );
}

/** Shows context use and adapter; tells more when pressed. */
function DeviceChip({
  state,
  use,
  onOpen,
}: {
  readonly state: LoadState;
  readonly use: ContextUse | undefined;
  readonly onOpen: () => void;
}): JSX.Element | null {
  if (state.kind !== 'ready' && state.kind !== 'recovering') return null;
  const share = use === undefined ? 0 : Math.min(1, use.tokens / use.contextLength);
  const adapter = adapterName(state.stats.adapter);
  const percent = Math.round(100 * share);
  return (
    <Popover
      label={`${percent}% ${adapter}: context in use, device details`}
      buttonClass="chip"
      panelClass="details"
      panelRole="dialog"
      onOpen={onOpen}
      button={
        <>
          <Ring share={share} />
          <span class="context-text">{percent}%</span>
          <span class="adapter">{adapter}</span>
        </>
      }
    >
      {() => <DeviceDetails stats={state.stats} use={use} />}
    </Popover>
  );
}

function Ring({ share }: { readonly share: number }): JSX.Element {
  return (
    <svg class={share > 0.9 ? 'ring full' : 'ring'} viewBox="0 0 20 20" aria-hidden="true">
      <circle cx="10" cy="10" r="8" />
      <circle
        class="used"
        cx="10"
        cy="10"
        r="8"
        pathLength="100"
        stroke-dasharray={`${(100 * share).toFixed(1)} 100`}
      />
    </svg>
  );
}
