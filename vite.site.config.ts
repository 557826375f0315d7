import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig, type Plugin, type UserConfig } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';
import shared from './vite.config.ts';

const REPOSITORY = fileURLToPath(new URL('.', import.meta.url));

/** Files of the bundled model that an engine reads, and its card, which names the sources of its training data. */
const MODEL_FILES = [
  'README.md',
  'chat_template.jinja',
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer_config.json',
];

/**
 * Models may come from anywhere, scripts only from the site; nothing that a reply contains can run or be fetched. A
 * development server cannot have this: it writes scripts and styles into the page.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "manifest-src 'self'",
  // Any server with certificate, and servers on this machine.
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** Copies what the pages load by address: the bundled model and the license. */
function loadedFiles(): Plugin {
  return {
    name: 'quern:loaded-files',
    generateBundle() {
      const emit = (fileName: string, path = fileName): void => {
        this.emitFile({ type: 'asset', fileName, source: readFileSync(join(REPOSITORY, path)) });
      };
      for (const file of MODEL_FILES) emit(`weights/tinychat/${file}`);
      emit('LICENSE.txt', 'LICENSE');
    },
  };
}

function head(): Plugin {
  return {
    name: 'quern:head',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: CONTENT_SECURITY_POLICY },
        injectTo: 'head-prepend',
      },
      { tag: 'link', attrs: { rel: 'apple-touch-icon', href: './icons/quern-192.png' } },
    ],
  };
}

/** Installs as an app, and works without a network after the first visit. */
function installable(): Plugin[] {
  return VitePWA({
    // The page asks before it changes versions (demo/service_worker.ts).
    registerType: 'prompt',
    injectRegister: null,
    manifest: {
      id: './',
      start_url: './',
      scope: './',
      name: 'Quern chat',
      short_name: 'Quern',
      description: 'Chat with a language model that runs on your device, inside the page.',
      display: 'standalone',
      background_color: '#fbf9f5',
      theme_color: '#fbf9f5',
      categories: ['productivity', 'utilities'],
      icons: [
        { src: './icons/quern.svg', sizes: 'any', type: 'image/svg+xml' },
        { src: './icons/quern-192.png', sizes: '192x192', type: 'image/png' },
        { src: './icons/quern-512.png', sizes: '512x512', type: 'image/png' },
        {
          src: './icons/quern-maskable-512.png',
          sizes: '512x512',
          type: 'image/png',
          purpose: 'maskable',
        },
      ],
    },
    workbox: {
      globPatterns: ['**/*.{html,js,css,svg,png,json,jinja,safetensors}'],
      maximumFileSizeToCacheInBytes: 2 ** 24,
      ignoreURLParametersMatching: [/./],
      // There are several pages: an address that is none of them is a mistake, not the first page.
      navigateFallback: null,
    },
  });
}

/** Every page of the folder. */
function pages(): Record<string, string> {
  const names = readdirSync(join(REPOSITORY, 'demo')).filter((name) => name.endsWith('.html'));
  return Object.fromEntries(
    names.map((name) => [name.slice(0, -'.html'.length), join(REPOSITORY, 'demo', name)]),
  );
}

/** The static site of all pages; works from any folder of any web server. */
const config: UserConfig = defineConfig(
  mergeConfig(shared, {
    base: './',
    plugins: [loadedFiles(), head(), installable()],
    worker: { format: 'es' },
    build: {
      outDir: join(REPOSITORY, 'dist-demo'),
      emptyOutDir: true,
      target: 'es2023',
      license: { fileName: 'third-party-licenses.md' },
      rolldownOptions: { input: pages() },
      // Data addresses would be refused by the policy above.
      assetsInlineLimit: 0,
    },
  } satisfies UserConfig),
);

export default config;
