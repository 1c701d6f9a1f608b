/** What the page says, in English and Chinese: in the browser's language until the person chooses another. */
/** @type {Record<string, [string, string]>} */
const WORDS = {
  talk: ["Talk", "对话"],
  models: ["Models", "模型"],
  newChat: ["New chat", "新对话"],
  search: ["Search chats", "搜索对话"],
  send: ["Send", "发送"],
  stop: ["Stop", "停止"],
  again: ["Regenerate", "重新生成"],
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
  model: ["Model", "模型"],
  system: ["System prompt", "系统提示"],
  temperature: ["Temperature", "温度"],
  settings: ["Settings", "设置"],
  message: ["Message", "消息"],
  thinking: ["Thinking", "思考中"],
  thought: ["Thought for", "思考用时"],
  rename: ["Rename", "重命名"],
  remove: ["Delete", "删除"],
  you: ["You", "你"],
  load: ["Load", "加载"],
  unload: ["Unload", "卸载"],
  loaded: ["loaded", "已加载"],
  pull: ["Pull", "拉取"],
  cancel: ["Cancel", "取消"],
  pullName: ["Name of a model, such as qwen3:0.6b", "模型名称,例如 qwen3:0.6b"],
  left: ["left", "剩余"],
  copyTo: ["Copy to which name?", "复制为哪个名称?"],
  renameTo: ["New name of the chat", "对话的新名称"],
  sureModel: ["Delete this model?", "删除这个模型?"],
  sureChat: ["Delete this chat?", "删除这个对话?"],
  none: ["No models yet. Pull one by its name.", "还没有模型。请按名称拉取一个。"],
  greet: ["What is on your mind?", "想聊些什么?"],
  private: ["Chats are kept in this browser only.", "对话只保存在此浏览器中。"],
  gone: ["The server cannot be reached. Your chat is kept; try again.", "无法连接服务器。对话已保留,请重试。"],
  ended: ["The answer broke off.", "回答中断了。"],
  full: ["This browser keeps no more: the chat is lost when you leave.", "浏览器空间已满:离开后对话会丢失。"],
  language: ["中文", "English"],
  first: ["first token", "首个词元"],
  chats: ["Chats", "对话列表"],
  compare: ["Compare", "比较"],
  compareWhich: ["Two or three models, asked one after another", "两到三个模型,依次提问"],
  pin: ["Pin", "置顶"],
  saveAs: ["Save as Markdown", "存为 Markdown"],
  exportAll: ["Export", "导出"],
  importChats: ["Import", "导入"],
  noChats: ["no chats of this page are in it", "其中没有本页面的对话"],
  attach: ["Attach files", "添加文件"],
  tooLarge: ["larger than 20 MB", "超过 20 MB"],
  notText: ["neither a picture, a sound nor text", "不是图片、声音或文本"],
  blind: ["does not see pictures.", "看不了图片。"],
  deaf: ["does not hear.", "听不了声音。"],
  couldTake: ["These do:", "这些模型可以:"],
  noneCould: ["No installed model does.", "没有已安装的模型可以。"],
  wantsKey: ["This server asks for a key", "此服务器需要密钥"],
  signIn: ["Sign in", "登录"],
  signOut: ["Sign out", "退出登录"],
  edit: ["Edit", "编辑"],
  editMessage: ["Edit message", "编辑消息"],
  branches: ["Branches", "分支"],
  earlier: ["Earlier branch", "上一个分支"],
  later: ["Later branch", "下一个分支"],
  goOn: ["Continue", "继续"],
  calls: ["Tool calls", "工具调用"],
  fill: ["of the context is used", "的上下文已用"],
  missing: ["not installed", "未安装"],
  goTo: ["Go to", "前往"],
  untitled: ["Untitled", "无标题"],
};

/** @returns {"en" | "zh"} */
export const language = () =>
  localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** @param {"en" | "zh"} chosen */
export const speak = (chosen) => {
  localStorage.setItem("language", chosen);
  document.documentElement.lang = chosen;
};

/** @param {keyof WORDS} key */
export const say = (key) => WORDS[key][language() === "zh" ? 1 : 0];
